# SPDX-License-Identifier: MIT
"""`rig frontier`: where the verdict changes along an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rig.cli.outputs import check_outputs
from rig.errors import UsageError

if TYPE_CHECKING:
    from rig.sweep.frontier.curves import Curve
    from rig.sweep.row import Row

app = typer.Typer()

VERDICTS = ("reproduced", "not-reproduced", "invalid", "error")


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def frontier(
    scenario: str = typer.Argument(help="A name (see `rig list`) or a folder."),
    over: list[str] = typer.Option(
        ..., "--over", metavar="NAME=LOW..HIGH", help="The axis; further ones, as NAME=V1,V2, give a curve each."
    ),
    find: str = typer.Option(None, metavar="VERDICT", help="Only edges with this verdict on one side."),
    resolution: str = typer.Option(None, help="How near to come to an edge; 1M for sizes."),
    scan: int = typer.Option(9, min=2, max=1000, help="Points of the coarse scan, which finds the changes."),
    repeat: int = typer.Option(3, min=1, max=100, help="Runs of either side of an edge."),
    sets: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="A setting that all points share."),
    jobs: int = typer.Option(None, min=1, help="Guests at once."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline."),
    as_json: bool = typer.Option(False, "--json", help="Print the curves as JSON."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Do not print the runs as they end."),
) -> None:
    """Find every change of the verdict in a range, bisect it, and set the guest's own arithmetic beside it.

    Exit status: 0 when there is an edge (with --find: such an edge), 1 when there is none in the range.
    """
    import asyncio

    from rich.console import Console

    from rig.scenario.load import load_scenario
    from rig.sweep.axes import SweepPlan, check_plan, parse_axes
    from rig.sweep.frontier.curves import find_frontier
    from rig.sweep.frontier.keep import keep_frontier, open_frontier
    from rig.sweep.frontier.scale import parse_scale
    from rig.sweep.row import append_row

    check_outputs(("--json", as_json), ("-q", quiet))
    if find is not None and find not in VERDICTS:
        raise UsageError(f"'{find}' is no verdict", where="--find", remedy=f"one of {', '.join(VERDICTS)}")
    ranges = [text for text in over if ".." in text]
    if len(ranges) != 1:
        raise UsageError("one axis is a range", where="--over", remedy="write it as in hog=0M..300M, others as lists")
    loaded = load_scenario(scenario)
    others = parse_axes([text for text in over if ".." not in text])
    if others:
        check_plan(SweepPlan(scenario, others), loaded)
    scale = parse_scale(ranges[0], loaded, resolution)
    fixed = [(name, value) for name, _, value in (text.partition("=") for text in sets)]
    if scale.name in {name for name, _ in fixed}:
        raise UsageError(f"'{scale.name}' is both set and the axis", where="--set", remedy="leave it out")

    kept = open_frontier(str(loaded.folder) if "/" in scenario else scenario, others, fixed)

    def ended(row: Row) -> None:
        append_row(kept.journal, row)
        if not quiet and not as_json:
            where = " ".join(f"{name}={value}" for name, value in row.settings.items())
            print(f"{row.verdict:<15} {where}", flush=True)

    curves = asyncio.run(
        find_frontier(
            loaded, scale, others=others, fixed=fixed, scan=scan, repeat=repeat, jobs=jobs,
            timeout_scale=timeout_scale, ended=ended,
        )
    )  # fmt: skip
    kept = keep_frontier(kept, loaded, scale, curves)
    count = _print(Console(), scale.name, curves, find, as_json=as_json)
    if not as_json:
        print(f"frontier {kept.id}  {kept.path}")
    raise typer.Exit(0 if count else 1)


def _print(console: object, name: str, curves: list[Curve], find: str | None, *, as_json: bool) -> int:
    """Print the edges and return how many there are."""
    import json

    from rich.console import Console
    from rich.table import Table

    assert isinstance(console, Console)
    table = Table(box=None, header_style="dim", pad_edge=False)
    others = [key for key, _ in curves[0].at] if curves else []
    for title in (*others, "from", "to", f"{name} between", "runs", "predicted", "off by"):
        table.add_column(title)
    rows, silent = [], []
    for curve in curves:
        edges = [edge for edge in curve.edges if find is None or find in (edge.edge.below, edge.edge.above)]
        if not edges:
            where = " ".join(f"{key}={value}" for key, value in curve.at)
            seen = ", ".join(sorted(curve.verdicts))
            silent.append(
                f"{where + ': ' if where else ''}no change of verdict in the range: {len(curve.rows)} runs, {seen}"
            )
        for edge in edges:
            runs = f"{len(edge.edge.runs_below)} + {len(edge.edge.runs_above)}" + (" noisy" if edge.edge.noisy else "")
            below, above = edge.edge.below, edge.edge.above
            found = {"from": below, "to": above, "low": edge.low, "high": edge.high, "noisy": edge.edge.noisy}
            found |= {"runs_below": edge.edge.runs_below, "runs_above": edge.edge.runs_above}
            rows.append({**dict(curve.at), **found, "predicted": edge.predicted, "off_by": edge.off_by})
            told = (below, above, f"{edge.low} and {edge.high}", runs, edge.predicted or "–", edge.off_by or "–")
            table.add_row(*(value for _, value in curve.at), *told)
    if as_json:
        print(json.dumps(rows, indent=1))
    elif rows:
        console.print(table)
    for line in silent if not as_json else []:
        print(line + "; widen it, or scan more finely (--scan)")
    return len(rows)
