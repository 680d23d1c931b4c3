# SPDX-License-Identifier: MIT
"""`rig sweep`: one scenario run over the product of some axes, and the table that comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import typer

from rig.cli import event_loop
from rig.cli.options import Junit, Ktap, PointOptions, flatten_options
from rig.cli.outputs import outputs_wanted, write_outputs
from rig.cli.stdout import check_outputs
from rig.errors import UsageError
from rig.extras import require
from rig.report.console import error_console, output_console
from rig.report.list_documents import print_array
from rig.report.sweep_table import SweepTable, points_tables, shared_lines
from rig.run.verdict import EXIT_STATUS, Verdict
from rig.scenario.load import load_scenario
from rig.sweep.axes import SweepPlan, check_plan, parse_axes, read_plan
from rig.sweep.dask import DaskExecutor
from rig.sweep.directory import SweepDirectory, find_sweep, new_sweep
from rig.sweep.execute import Executor, Outcome, execute_sweep
from rig.sweep.local import LocalExecutor
from rig.sweep.suites import suites_of_rows
from rig.sweep.tally import Tally

__all__ = ["app"]

app = typer.Typer()

EXECUTORS = ("local", "dask")


@dataclass(frozen=True)
class AxisOptions:
    """Which points there are."""

    over: Annotated[
        list[str],
        typer.Option(metavar="NAME=V1,V2", help="An axis: a parameter, a sysctl, memory, cpus, swap, kernel, …"),
    ] = field(default_factory=list)
    points: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A TOML file with the tables over, set and points, and with repeat."),
    ] = None
    repeat: Annotated[
        int | None,
        typer.Option(min=1, max=1000, metavar="N", help="Runs per point; points whose verdicts differ are flagged."),
    ] = None
    yes: Annotated[bool, typer.Option("--yes", help="Run even if there are 10,000 runs or more.")] = False


@dataclass(frozen=True)
class ExecutorOptions:
    """What runs the points."""

    executor: Annotated[str, typer.Option(metavar="NAME", help="local, or dask.")] = "local"
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="The address of Dask's scheduler, as tcp://host:8786; default: a local one."
        ),
    ] = None
    record: Annotated[bool, typer.Option("--record", help="Record every warp run, for `rig replay`.")] = False
    whole: Annotated[
        bool, typer.Option("--whole", help="Run each point from its beginning, also where points share a past.")
    ] = False

    def check(self) -> None:
        """Raise UsageError for an executor that there is not, and for a scheduler without Dask."""
        if self.executor not in EXECUTORS:
            raise UsageError(
                f"'{self.executor}' is not an executor", where="--executor", remedy=f"one of {', '.join(EXECUTORS)}"
            )
        if self.scheduler is not None and self.executor != "dask":
            raise UsageError("only Dask has a scheduler", where="--scheduler", remedy="add --executor dask")


@dataclass(frozen=True)
class OutputOptions:
    """What is printed, and what is written beside it."""

    junit: Junit = None
    ktap: Ktap = None
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON, one array.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the sweep's id.")] = False

    @property
    def silent(self) -> bool:
        """Whether standard output has no room for a table."""
        return self.quiet or self.as_json or "-" in (self.junit, self.ktap)


@app.command()
@flatten_options
def sweep(
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="A name (see `rig list`) or a directory.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(metavar="SWEEP", help="Go on with a sweep that was interrupted: an id, or last.")
    ] = None,
    *,
    axes: AxisOptions,
    shared: PointOptions,
    executor: ExecutorOptions,
    output: OutputOptions,
) -> None:
    """Run a scenario at every point of a product of axes, and keep the results in one Parquet file.

    Exit status: the worst of the runs: 0 reproduced, 1 not-reproduced, 2 invalid, 3 error, 64 usage error. `rig
    results` shows what happened where.
    """
    check_outputs(("--json", output.as_json), ("-q", output.quiet), ("--junit", output.junit), ("--ktap", output.ktap))
    executor.check()
    require("pyarrow", *["distributed"] * (executor.executor == "dask"))
    if resume is None:
        directory = _new(scenario, axes, shared)
    elif scenario is not None or axes != AxisOptions() or shared.sets:
        raise UsageError(
            "the sweep's own scenario and axes are used", where="--resume", remedy="leave out the scenario and axes"
        )
    else:
        directory = _interrupted(resume)
    outcome = _run(directory, executor, shared, silent=output.silent)
    if outputs_wanted(junit=output.junit, ktap=output.ktap):
        write_outputs(suites_of_rows(directory.plan, outcome.rows), junit=output.junit, ktap=output.ktap)
    raise typer.Exit(EXIT_STATUS[_print(directory, outcome, output)])


def _interrupted(name: str) -> SweepDirectory:
    directory = find_sweep(name)
    if directory.is_search:
        raise UsageError("that is a frontier, and only a sweep can be resumed", where="--resume", remedy="run it again")
    return directory


def _new(scenario: str | None, axes: AxisOptions, shared: PointOptions) -> SweepDirectory:
    if axes.points is not None:
        plan = read_plan(axes.points, scenario)
    elif scenario is not None:
        plan = SweepPlan(scenario)
    else:
        raise UsageError("no scenario and no file is named", where="rig sweep", remedy="see `rig list`")
    plan = replace(
        plan,
        axes=plan.axes + parse_axes(axes.over),
        fixed=plan.fixed + shared.fixed(plan.scenario),
        repeat=axes.repeat or plan.repeat,
    )
    loaded = load_scenario(plan.scenario)
    check_plan(plan, loaded, yes=axes.yes)
    return new_sweep(replace(plan, scenario=str(loaded.directory)) if "/" in plan.scenario else plan)


def _run(directory: SweepDirectory, options: ExecutorOptions, shared: PointOptions, *, silent: bool) -> Outcome:
    executor: Executor = LocalExecutor(shared.jobs, share=not options.whole)
    if options.executor == "dask":
        executor = DaskExecutor(options.scheduler, shared.jobs, share=not options.whole)
    with SweepTable(output_console(), directory.plan.names, directory.plan.size, quiet=silent) as table:
        work = execute_sweep(
            directory, executor, record=options.record, timeout_scale=shared.timeout_scale,
            began=table.began, ended=table.ended,
        )  # fmt: skip
        try:
            return event_loop.run(work)
        except BaseException:
            error_console().print(f"finished runs are kept: rig sweep --resume {directory.id}", soft_wrap=True)
            raise


def _print(directory: SweepDirectory, outcome: Outcome, output: OutputOptions) -> Verdict:
    """Print the rows as they are wanted, and return the worst of their verdicts."""
    rows = Tally(outcome.rows)
    if output.as_json:
        print_array(row.model_dump(mode="json") for row in rows)
    elif output.silent:
        for _ in rows:
            pass  # they are counted
        if output.quiet:
            print(directory.id)
    else:
        for part in points_tables(directory.plan.names, rows):
            output_console().print(part)
        print(f"{len(outcome.rows)} runs, {outcome.fresh} of them now; {rows.unstable} points unstable")
        for line in shared_lines(rows.shared):
            print(line)
        print(f"sweep {directory.id}  {directory.table}")
    return rows.worst
