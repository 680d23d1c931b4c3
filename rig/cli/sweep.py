# SPDX-License-Identifier: MIT
"""`rig sweep` and `rig results`: one scenario run over the product of some axes, and the table that comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rig.cli.outputs import check_outputs, write_outputs
from rig.errors import UsageError

if TYPE_CHECKING:
    from rig.sweep.folder import SweepFolder

app = typer.Typer()

EXECUTORS = ("local", "dask")


@app.command()
def sweep(
    scenario: str = typer.Argument(None, help="A name (see `rig list`) or a folder."),
    over: list[str] = typer.Option(
        [], "--over", metavar="NAME=V1,V2", help="An axis: a parameter, a sysctl, memory, cpus, swap, kernel, …"
    ),
    points: Path = typer.Option(None, metavar="FILE", help="A TOML file: the tables over, set and points, and repeat."),
    sets: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="A setting that all points share."),
    repeat: int = typer.Option(None, min=1, max=1000, help="Runs a point; points whose verdicts differ are flagged."),
    jobs: int = typer.Option(None, min=1, help="Guests at once. Default: processors; free memory bounds it too."),
    resume: str = typer.Option(None, metavar="SWEEP", help="Go on with a sweep that was cut short: an id, or last."),
    executor: str = typer.Option("local", help="local, or dask."),
    scheduler: str = typer.Option(None, metavar="ADDRESS", help="Dask's, as tcp://host:8786. Default: a local one."),
    record: bool = typer.Option(False, "--record", help="Record every warp run, for `rig replay`."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline."),
    yes: bool = typer.Option(False, "--yes", help="Also for 10,000 runs and more."),
    junit: str = typer.Option(None, metavar="FILE", help="Write JUnit XML; - is standard output."),
    ktap: str = typer.Option(None, metavar="FILE", help="Write KTAP; - is standard output."),
    as_json: bool = typer.Option(False, "--json", help="Print the rows as JSON, one array."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only the sweep's id."),
) -> None:
    """Run a scenario at every point of a product of axes; keep the results in one Parquet file.

    Exit status: the worst of the runs: 0 reproduced, 1 not-reproduced, 2 invalid, 3 error, 64 usage error. A sweep
    measures, so with --json, -q or without, `rig results` tells what happened where.
    """
    from rig.sweep.folder import find_sweep
    from rig.sweep.frontier.document import FRONTIER

    check_outputs(("--json", as_json), ("-q", quiet), ("--junit", junit), ("--ktap", ktap))
    if executor not in EXECUTORS:
        raise UsageError(f"'{executor}' is no executor", where="--executor", remedy=f"one of {', '.join(EXECUTORS)}")
    if scheduler is not None and executor != "dask":
        raise UsageError("a scheduler is Dask's", where="--scheduler", remedy="add --executor dask")
    if resume is not None:
        if scenario is not None or over or points or sets or repeat:
            raise UsageError("the sweep is known already", where="--resume", remedy="leave the scenario and axes out")
        folder = find_sweep(resume)
        if (folder.path / FRONTIER).exists():
            raise UsageError(
                "that is a frontier, which has no points of its own", where="--resume", remedy="run it again"
            )
    else:
        folder = _new(scenario, over, points, sets, repeat, yes=yes)
    silent = quiet or as_json or junit == "-" or ktap == "-"
    outcome = _run(folder, executor, scheduler, jobs, record, timeout_scale, silent=silent)
    _tell(folder, outcome, junit, ktap, as_json=as_json, quiet=quiet, silent=silent)


def _new(
    scenario: str | None, over: list[str], points: Path | None, sets: list[str], repeat: int | None, *, yes: bool
) -> SweepFolder:
    from dataclasses import replace

    from rig.scenario.load import load_scenario
    from rig.sweep.axes import SweepPlan, check_plan, parse_axes, read_plan
    from rig.sweep.folder import new_sweep

    if points is not None:
        plan = read_plan(points, scenario)
    elif scenario is not None:
        plan = SweepPlan(scenario)
    else:
        raise UsageError("name a scenario, or a file", where="rig sweep", remedy="see `rig list`")
    fixed = tuple((name, value) for name, _, value in (text.partition("=") for text in sets))
    plan = replace(plan, axes=plan.axes + parse_axes(over), fixed=plan.fixed + fixed, repeat=repeat or plan.repeat)
    loaded = load_scenario(plan.scenario)
    check_plan(plan, loaded, yes=yes)
    return new_sweep(replace(plan, scenario=str(loaded.folder)) if "/" in plan.scenario else plan)


def _run(
    folder: SweepFolder, executor: str, scheduler: str | None, jobs: int | None, record: bool, scale: float, *,
    silent: bool,
) -> Any:  # fmt: skip
    import asyncio

    from rich.console import Console

    from rig.report.sweep_table import SweepTable
    from rig.sweep.axes import size_of
    from rig.sweep.execute import Executor, conduct_sweep

    chosen: Executor
    if executor == "dask":
        from rig.sweep.dask import DaskExecutor

        chosen = DaskExecutor(scheduler, jobs)
    else:
        from rig.sweep.local import LocalExecutor

        chosen = LocalExecutor(jobs)
    with SweepTable(Console(), folder.plan.names, size_of(folder.plan), quiet=silent) as table:
        work = conduct_sweep(folder, chosen, record=record, timeout_scale=scale, began=table.began, ended=table.ended)
        try:
            return asyncio.run(work)
        except BaseException:
            Console(stderr=True).print(f"finished runs are kept: rig sweep --resume {folder.id}", highlight=False)
            raise


def _tell(
    folder: SweepFolder, outcome: Any, junit: str | None, ktap: str | None, *, as_json: bool, quiet: bool, silent: bool
) -> None:
    import json

    from rich.console import Console

    from rig.report.sweep_table import points_table
    from rig.run.document import EXIT_STATUS, worst
    from rig.sweep.suites import suites_of_rows
    from rig.sweep.table import agreement

    rows = outcome.rows
    write_outputs(suites_of_rows(folder.plan, rows), junit=junit, ktap=ktap)
    if as_json:
        print(json.dumps([row.model_dump(mode="json") for row in rows], indent=1))
    elif quiet:
        print(folder.id)
    elif not silent:
        Console().print(points_table(folder.plan.names, rows))
        unstable = sum(share < 1 for _, share in agreement(rows).values())
        print(f"{len(rows)} runs, {outcome.fresh} of them now; {unstable} points unstable")
        print(f"sweep {folder.id}  {folder.table}")
    raise typer.Exit(EXIT_STATUS[worst([row.verdict for row in rows])])


@app.command()
def results(
    sweep: str = typer.Argument(None, help="A sweep: path, id, unique prefix, last, or a .parquet file."),
    sql: str = typer.Option(None, metavar="QUERY", help="SQL of DuckDB over the table `results`."),
    as_csv: bool = typer.Option(False, "--csv", help="Print comma-separated values."),
    svg: Path = typer.Option(None, metavar="FILE", help="Write a heat map of the verdicts over one or two axes."),
) -> None:
    """Show the results of a sweep; without a name, list the sweeps."""
    import sys

    from rich.console import Console

    from rig.report.arrow_text import arrow_csv, arrow_table
    from rig.report.sweep_table import points_table
    from rig.scenario.load import load_scenario
    from rig.sweep.folder import find_sweep, list_sweeps
    from rig.sweep.table import query, read_table, table_of

    if sweep is None:
        for path in list_sweeps():
            folder = find_sweep(str(path))
            over = " ".join(f"{axis.name}={','.join(axis.values)}" for axis in folder.plan.axes)
            print(f"{folder.id}  {folder.plan.scenario}  {over}  {len(folder.rows())} runs")
        return
    if sweep.endswith(".parquet"):
        if svg is not None:
            raise UsageError("a heat map is drawn of a sweep's folder", where="--svg", remedy="name the sweep")
        table = read_table(Path(sweep))
    else:
        folder = find_sweep(sweep)
        rows = folder.rows()
        if svg is not None:
            from rig.report.heatmap import heat_map

            svg.write_text(
                heat_map(folder.plan.scenario, [(axis.name, axis.values) for axis in folder.plan.axes], rows)
            )
            return
        if sql is None and not as_csv:
            Console().print(points_table(folder.plan.names, rows))
            return
        # Of the journal, so that a sweep that is running or was killed can be asked too.
        table = table_of(folder.plan, load_scenario(folder.plan.scenario), rows)
    if sql is not None:
        table = query(table, sql)
    if as_csv:
        sys.stdout.write(arrow_csv(table))
    else:
        Console().print(arrow_table(table))
