# SPDX-License-Identifier: MIT
"""A frontier's folder: a sweep's (sweep.json, rows.jsonl, results.parquet), and frontier.json with what was found.

frontier.json:

| key | is |
|---|---|
| schema_version | 1 |
| scenario, fixed | what was run, and the settings that all points share |
| axis | name; kind (size, duration, int, float); low, high, resolution in the kind's unit: bytes, seconds, the number |
| others | the other axes: name, values |
| curves | one for each point of the other axes |
| curves[].at | the other axes' values there |
| curves[].edges | found: from, to (verdicts); low, high (neighbouring values, as text) and low_value, high_value;
  noisy; runs_below, runs_above (verdicts); predicted, off_by (text) and predicted_value, off_by_value, null where
  the arithmetic has no such edge |
| curves[].foreseen | all edges of the arithmetic in the range: from, to, value: the predicted line |
| curves[].points | what was run: value, verdicts |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rig.errors import RigError
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.folder import SweepFolder, new_sweep, write_plan
from rig.sweep.table import table_of, write_table

if TYPE_CHECKING:
    from rig.scenario.load import Scenario
    from rig.sweep.frontier.curves import Curve
    from rig.sweep.frontier.scale import Scale

__all__ = ["FRONTIER", "FRONTIER_VERSION", "frontier_content", "keep_frontier", "open_frontier"]

FRONTIER = "frontier.json"
FRONTIER_VERSION = 1


def open_frontier(scenario: str, others: Sequence[Axis], fixed: Sequence[tuple[str, str]]) -> SweepFolder:
    """Make the folder; rows are written to its journal as they come."""
    return new_sweep(SweepPlan(scenario, tuple(others), tuple(fixed)))


def keep_frontier(folder: SweepFolder, scenario: Scenario, scale: Scale, curves: Sequence[Curve]) -> SweepFolder:
    """Write what was found, and the plan as a sweep over the values that were run; return the folder with it."""
    steps = sorted({row.point % (scale.steps + 1) for curve in curves for row in curve.rows})
    axes = (*folder.plan.axes, Axis(scale.name, tuple(scale.text(step) for step in steps)))
    plan = SweepPlan(folder.plan.scenario, axes, folder.plan.fixed)
    content = frontier_content(folder.plan, scale, curves)
    try:
        (folder.path / FRONTIER).write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise RigError(f"the frontier cannot be written: {error.strerror}", where=folder.path) from error
    write_plan(folder.path, plan)
    kept = SweepFolder(folder.path, plan)
    write_table(table_of(plan, scenario, kept.rows()), kept.table)
    return kept


def frontier_content(plan: SweepPlan, scale: Scale, curves: Sequence[Curve]) -> dict[str, Any]:
    """Return frontier.json."""
    return {
        "schema_version": FRONTIER_VERSION,
        "scenario": plan.scenario,
        "fixed": dict(plan.fixed),
        "axis": {
            "name": scale.name,
            "kind": scale.kind,
            "low": _number(scale.low),
            "high": _number(scale.high),
            "resolution": _number(scale.resolution),
        },
        "others": [{"name": axis.name, "values": list(axis.values)} for axis in plan.axes],
        "curves": [_curve(curve, scale) for curve in curves],
    }


def _curve(curve: Curve, scale: Scale) -> dict[str, Any]:
    points: dict[int, list[str]] = {}
    for row in curve.rows:
        points.setdefault(row.point % (scale.steps + 1), []).append(row.verdict)
    return {
        "at": dict(curve.at),
        "edges": [
            {
                "from": each.edge.below,
                "to": each.edge.above,
                "low": each.low,
                "high": each.high,
                "low_value": _number(scale.value(each.edge.low)),
                "high_value": _number(scale.value(each.edge.high)),
                "noisy": each.edge.noisy,
                "runs_below": each.edge.runs_below,
                "runs_above": each.edge.runs_above,
                "predicted": each.predicted,
                "off_by": each.off_by,
                "predicted_value": _number(each.predicted_value),
                "off_by_value": _number(each.off_by_value),
            }
            for each in curve.edges
        ],
        "foreseen": [{"from": each.below, "to": each.above, "value": _number(each.value)} for each in curve.foreseen],
        "points": [{"value": _number(scale.value(step)), "verdicts": points[step]} for step in sorted(points)],
    }


def _number(value: Fraction | None) -> int | float | None:
    if value is None:
        return None
    return int(value) if value.denominator == 1 else round(float(value), 6)
