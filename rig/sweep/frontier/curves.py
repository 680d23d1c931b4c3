# SPDX-License-Identifier: MIT
"""Search for thresholds with guests: each verdict is that of a run, and each point of the other axes has a curve."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rig.branch.sharing import Pasts, SharedPast, shared_pasts
from rig.errors import UsageError
from rig.experiment.capacity import Capacity
from rig.finishing import gathered
from rig.image.store import Store
from rig.scenario.load import Scenario
from rig.scenario.settings import Settings, parse_settings
from rig.sweep.axes import Axis
from rig.sweep.frontier.arithmetic import Foreseen
from rig.sweep.frontier.predict import matching, predict, without_unread_claims
from rig.sweep.frontier.scale import Scale
from rig.sweep.frontier.search import Edge, find_edges
from rig.sweep.row import Row
from rig.sweep.task import PointTask, run_point

__all__ = ["Curve", "CurveEdge", "find_frontier"]


@dataclass(frozen=True)
class CurveEdge:
    """An edge, with its values in the notation of the axis.

    predicted: where the arithmetic expects the edge; None if it has no rule.
    off_by: signed distance of the found edge from it; None likewise.
    """

    edge: Edge
    low: str
    high: str
    predicted: str | None = None
    off_by: str | None = None
    predicted_value: Fraction | None = None
    off_by_value: Fraction | None = None


@dataclass(frozen=True)
class Curve:
    """The edges along the scale at one point of the other axes, lowest first, and the rows of their runs.

    rows: without the claims that the prediction does not read; the journal has all of them.
    foreseen: all edges that the arithmetic predicts in the range, whether or not they were found.
    """

    at: tuple[tuple[str, str], ...]
    edges: tuple[CurveEdge, ...]
    rows: tuple[Row, ...]
    foreseen: tuple[Foreseen, ...] = ()

    @property
    def verdicts(self) -> set[str]:
        return {row.verdict for row in self.rows}


async def find_frontier(
    scenario: Scenario,
    scale: Scale,
    *,
    others: Sequence[Axis] = (),
    fixed: Sequence[tuple[str, str]] = (),
    scan: int = 9,
    repeat: int = 3,
    jobs: int | None = None,
    timeout_scale: float = 1.0,
    store: Store | None = None,
    ended: Callable[[Row], None] = lambda row: None,
) -> list[Curve]:
    """Return one curve for each point of the other axes.

    others, fixed: the other axes, and the settings that all runs share.
    scan, repeat: values of the first scan; runs on each side of an edge.
    ended: called with each row when its run ends.
    A value that the scenario refuses has the verdict `error`; it does not end the search.
    """
    store, capacity = store or Store(), Capacity(jobs)
    points = [
        tuple(zip((axis.name for axis in others), values, strict=True))
        for values in itertools.product(*(axis.values for axis in others))
    ]

    async def curve(number: int, at: tuple[tuple[str, str], ...]) -> Curve:
        rows: list[Row] = []
        pasts = Pasts(store, _past(store, scenario, scale, (*fixed, *at)), timeout_scale=timeout_scale)

        async def judge(step: int, repeat: int) -> str:
            settings = (*at, (scale.name, scale.text(step)))
            sets = tuple(f"{name}={value}" for name, value in (*fixed, *settings))
            memory = _memory(scenario, sets)
            point = number * (scale.steps + 1) + step
            task = PointTask(
                point, repeat, str(scenario.directory), sets, settings, memory, timeout_scale=timeout_scale
            )
            async with capacity.room_for(memory):
                row, _ = await run_point(task, store, pasts=pasts)
            rows.append(without_unread_claims(row))
            ended(row)
            return row.verdict

        try:
            found = await find_edges(judge, scale.steps, scan=scan, repeat=repeat)
        finally:
            await pasts.close()
        foreseen = await asyncio.to_thread(predict, scale, rows, lambda row: _settings(scenario, fixed, row))
        edges = tuple(_curve_edge(edge, scale, foreseen) for edge in sorted(found.edges, key=lambda edge: edge.low))
        return Curve(at, edges, tuple(sorted(rows, key=lambda row: (row.point, row.repeat))), foreseen)

    return await gathered(curve(number, at) for number, at in enumerate(points))


def _past(
    store: Store, scenario: Scenario, scale: Scale, others: Sequence[tuple[str, str]]
) -> Mapping[tuple[int, int], SharedPast]:
    """Return the past that the runs at both ends of the scale have in common, for every run of the curve."""
    ends = [
        tuple(f"{name}={value}" for name, value in (*others, (scale.name, scale.text(step))))
        for step in (0, scale.steps)
    ]
    found = shared_pasts(store, scenario, ends, fewest=2)
    return defaultdict(lambda: found[0]) if found else {}


def _memory(scenario: Scenario, sets: tuple[str, ...]) -> int:
    try:
        settings = parse_settings(scenario, sets)
    except UsageError:
        return 0
    return settings.memory + settings.swap


def _settings(scenario: Scenario, fixed: Sequence[tuple[str, str]], row: Row) -> Settings | None:
    try:
        return parse_settings(scenario, [f"{name}={text}" for name, text in (*fixed, *row.settings.items())])
    except UsageError:
        return None


def _curve_edge(edge: Edge, scale: Scale, foreseen: Sequence[Foreseen]) -> CurveEdge:
    low, high = scale.text(edge.low), scale.text(edge.high)
    middle = (scale.value(edge.low) + scale.value(edge.high)) / 2
    same = matching(edge, foreseen, middle)
    if same is None:
        return CurveEdge(edge, low, high)
    off = middle - same.value
    return CurveEdge(edge, low, high, _rounded(scale.kind, same.value), _signed(scale.kind, off), same.value, off)


def _rounded(kind: str, value: Fraction) -> str:
    """Return the value as text; sizes in tenths of a megabyte, as the prediction is not more precise."""
    return f"{float(value) / (1 << 20):.1f}M" if kind == "size" else f"{float(value):.4g}"


def _signed(kind: str, value: Fraction) -> str:
    return f"{float(value) / (1 << 20):+.1f}M" if kind == "size" else f"{float(value):+.2g}"
