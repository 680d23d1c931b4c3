# SPDX-License-Identifier: MIT
"""Write the directory of a threshold search: the files of a sweep, and frontier.json with the edges."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from rig.errors import RigError
from rig.seal import seal
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import FRONTIER, SweepDirectory, new_sweep, write_plan
from rig.sweep.frontier import document
from rig.sweep.table import tables_of, write_table
from rig.whole_file import write_whole

if TYPE_CHECKING:
    from rig.scenario.load import Scenario
    from rig.sweep.frontier.curves import Curve, CurveEdge
    from rig.sweep.frontier.scale import Scale

__all__ = ["frontier_document", "keep_frontier", "open_frontier"]


def open_frontier(scenario: str, others: Sequence[Axis], fixed: Sequence[tuple[str, str]]) -> SweepDirectory:
    """Create the directory of a search; rows are appended to its journal while it runs."""
    return new_sweep(SweepPlan(scenario, tuple(others), tuple(fixed), searched=True))


def keep_frontier(
    directory: SweepDirectory, scenario: Scenario, scale: Scale, curves: Sequence[Curve]
) -> SweepDirectory:
    """Write frontier.json and the table, and return the directory with its final plan.

    The plan becomes a sweep over the values that the search ran, so that the commands for sweeps can read it.
    Raises RigError when frontier.json cannot be written.
    """
    steps = sorted({row.point % (scale.steps + 1) for curve in curves for row in curve.rows})
    axes = (*directory.plan.axes, Axis(scale.name, tuple(scale.text(step) for step in steps)))
    plan = SweepPlan(directory.plan.scenario, axes, directory.plan.fixed, searched=True)
    content = frontier_document(directory.plan, scale, curves)
    try:
        text = seal(content.model_dump_json(by_alias=True, indent=1)) + "\n"
        write_whole(directory.path / FRONTIER, text.encode())
    except OSError as error:
        raise RigError(f"the frontier cannot be written: {error.strerror}", where=directory.path) from error
    write_plan(directory.path, plan)
    kept = SweepDirectory(directory.path, plan)
    write_table(tables_of(plan, scenario, kept.rows()), kept.table)
    return kept


def frontier_document(plan: SweepPlan, scale: Scale, curves: Sequence[Curve]) -> document.Frontier:
    """Return the content of frontier.json."""
    return document.Frontier(
        schema_version=document.FRONTIER_VERSION,
        scenario=plan.scenario,
        fixed=dict(plan.fixed),
        axis=document.FrontierAxis(
            name=scale.name,
            kind=scale.kind,
            low=_number(scale.low),
            high=_number(scale.high),
            resolution=_number(scale.resolution),
        ),
        others=tuple(document.OtherAxis(name=axis.name, values=axis.values) for axis in plan.axes),
        curves=tuple(_curve(curve, scale) for curve in curves),
    )


def _curve(curve: Curve, scale: Scale) -> document.Curve:
    points: dict[int, list[str]] = {}
    for row in curve.rows:
        points.setdefault(row.point % (scale.steps + 1), []).append(row.verdict)
    return document.Curve(
        at=dict(curve.at),
        edges=tuple(_edge(each, scale) for each in curve.edges),
        foreseen=tuple(
            document.Foreseen(below=each.below, above=each.above, value=_number(each.value)) for each in curve.foreseen
        ),
        points=tuple(
            document.Point(value=_number(scale.value(step)), verdicts=tuple(points[step])) for step in sorted(points)
        ),
    )


def _edge(each: CurveEdge, scale: Scale) -> document.Edge:
    return document.Edge(
        below=each.edge.below,
        above=each.edge.above,
        low=each.low,
        high=each.high,
        low_value=_number(scale.value(each.edge.low)),
        high_value=_number(scale.value(each.edge.high)),
        noisy=each.edge.noisy,
        runs_below=each.edge.runs_below,
        runs_above=each.edge.runs_above,
        predicted=each.predicted,
        off_by=each.off_by,
        predicted_value=None if each.predicted_value is None else _number(each.predicted_value),
        off_by_value=None if each.off_by_value is None else _number(each.off_by_value),
    )


def _number(value: Fraction) -> int | float:
    return int(value) if value.denominator == 1 else round(float(value), 6)
