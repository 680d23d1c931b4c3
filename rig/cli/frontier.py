# SPDX-License-Identifier: MIT
"""`rig frontier`: where the verdict changes along an axis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.table import Table

from rig.cli import event_loop
from rig.cli.options import ChosenScenario, PointOptions, check_verdict, flatten_options
from rig.cli.stdout import check_outputs
from rig.errors import UsageError
from rig.extras import require
from rig.report.console import output_console
from rig.scenario.load import Scenario, load_scenario
from rig.sweep.axes import Axis, SweepPlan, check_plan, parse_axes
from rig.sweep.frontier.curves import Curve, find_frontier
from rig.sweep.frontier.keep import keep_frontier, open_frontier
from rig.sweep.frontier.scale import Scale, parse_scale
from rig.sweep.journal import append_row
from rig.sweep.row import Row

__all__ = ["app"]

app = typer.Typer()


@dataclass(frozen=True)
class SearchOptions:
    """What is looked for, and how finely."""

    over: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=LOW..HIGH",
            help="NAME=LOW..HIGH is searched; each point of further axes, NAME=V1,V2, gives a curve.",
        ),
    ]
    find: Annotated[str | None, typer.Option(metavar="VERDICT", help="Only edges with this verdict on one side.")] = (
        None
    )
    resolution: Annotated[
        str | None, typer.Option(metavar="STEP", help="How closely to bracket an edge; default: 1M for sizes.")
    ] = None
    scan: Annotated[
        int, typer.Option(min=2, max=1000, metavar="N", help="Points of the coarse scan, which finds the changes.")
    ] = 9
    repeat: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Runs that confirm each side of an edge.")
    ] = 3


@dataclass(frozen=True)
class OutputOptions:
    """What is printed."""

    as_json: Annotated[bool, typer.Option("--json", help="Print the curves as JSON.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print each run when it ends.")] = False


@app.command()
@flatten_options
def frontier(scenario: ChosenScenario, *, search: SearchOptions, shared: PointOptions, output: OutputOptions) -> None:
    """Find every change of the verdict in a range, bisect it, and compare it with what the guest's numbers predict.

    Exit status: 0 when there is an edge (with --find: such an edge), 1 when there is none in the range.
    """
    check_outputs(("--json", output.as_json), ("-q", output.quiet))
    check_verdict(search.find, "--find")
    require("pyarrow")
    loaded = load_scenario(scenario)
    scale, others = _axes(loaded, search)
    fixed = list(shared.fixed(scenario))
    if scale.name in dict(fixed):
        raise UsageError(f"'{scale.name}' is both a setting and the axis", where="--set", remedy="leave it out")
    kept = open_frontier(str(loaded.directory) if "/" in scenario else scenario, others, fixed)

    def ended(row: Row) -> None:
        append_row(kept.journal, row)
        if not output.quiet and not output.as_json:
            where = " ".join(f"{name}={value}" for name, value in row.settings.items())
            print(f"{row.verdict:<15} {where}", flush=True)

    curves = event_loop.run(
        find_frontier(
            loaded, scale, others=others, fixed=fixed, scan=search.scan, repeat=search.repeat, jobs=shared.jobs,
            timeout_scale=shared.timeout_scale, ended=ended,
        )
    )  # fmt: skip
    kept = keep_frontier(kept, loaded, scale, curves)
    count = _print(scale.name, curves, search.find, as_json=output.as_json)
    if not output.as_json:
        print(f"frontier {kept.id}  {kept.path}")
    raise typer.Exit(0 if count else 1)


def _axes(scenario: Scenario, search: SearchOptions) -> tuple[Scale, tuple[Axis, ...]]:
    """Return the axis to search on, and those that give a curve for each of their points. Raises UsageError."""
    ranges = [text for text in search.over if ".." in text]
    if len(ranges) != 1:
        raise UsageError(
            "exactly one axis must be a range", where="--over", remedy="write it as in hog=0M..300M, others as lists"
        )
    others = parse_axes([text for text in search.over if ".." not in text])
    if others:
        check_plan(SweepPlan(scenario.name, others), scenario)
    return parse_scale(ranges[0], scenario, search.resolution), others


def _print(name: str, curves: list[Curve], find: str | None, *, as_json: bool) -> int:
    """Print the edges and return how many there are."""
    rows: list[dict[str, Any]] = []
    silent = []
    for curve in curves:
        edges = [each for each in curve.edges if find is None or find in (each.edge.below, each.edge.above)]
        if not edges:
            where = " ".join(f"{key}={value}" for key, value in curve.at)
            seen = ", ".join(sorted(curve.verdicts))
            silent.append(
                f"{where + ': ' if where else ''}no change of verdict in the range: {len(curve.rows)} runs, {seen}"
            )
        for each in edges:
            edge = each.edge
            rows.append(
                {
                    **dict(curve.at),
                    "from": edge.below, "to": edge.above, "low": each.low, "high": each.high, "noisy": edge.noisy,
                    "runs_below": edge.runs_below, "runs_above": edge.runs_above,
                    "predicted": each.predicted, "off_by": each.off_by,
                }
            )  # fmt: skip
    if as_json:
        print(json.dumps(rows, indent=1))
        return len(rows)
    if rows:
        output_console().print(_table(name, [key for key, _ in curves[0].at], rows))
    for line in silent:
        print(line + "; widen it, or scan more finely (--scan)")
    return len(rows)


def _table(name: str, others: list[str], rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in (*others, "from", "to", f"{name} between", "runs", "predicted", "off by"):
        table.add_column(title)
    for row in rows:
        runs = f"{len(row['runs_below'])} + {len(row['runs_above'])}" + (" noisy" if row["noisy"] else "")
        between = f"{row['low']} and {row['high']}"
        table.add_row(
            *(row[key] for key in others), row["from"], row["to"], between, runs,
            row["predicted"] or "–", row["off_by"] or "–",
        )  # fmt: skip
    return table
