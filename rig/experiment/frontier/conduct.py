"""A frontier of guests: the search, with each value's verdict from a run; one curve for each point of other axes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from rig.errors import WrongCall
from rig.experiment.frontier.predict import predict
from rig.experiment.frontier.scale import Scale, show
from rig.experiment.frontier.search import Edge, find_edges
from rig.experiment.sweep.axes import Axis
from rig.experiment.sweep.capacity import Capacity
from rig.experiment.sweep.row import Row
from rig.experiment.sweep.task import PointTask, run_point
from rig.image.store import Store
from rig.scenario.load import Scenario
from rig.scenario.settings import parse_settings

__all__ = ["Curve", "CurveEdge", "find_frontier"]


@dataclass(frozen=True)
class CurveEdge:
    """An edge in the axis's own words; predicted and off_by are None where the guest's arithmetic has no rule."""

    edge: Edge
    low: str
    high: str
    predicted: str | None = None
    off_by: str | None = None


@dataclass(frozen=True)
class Curve:
    """The edges along the scale at one point of the other axes, lowest first, and the runs that found them."""

    at: tuple[tuple[str, str], ...]
    edges: tuple[CurveEdge, ...]
    rows: tuple[Row, ...]

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

    A value that the scenario refuses is a run of verdict `error`; what cannot be asked for at all is a WrongCall.
    """
    store, capacity = store or Store(), Capacity(jobs)
    points = [
        tuple(zip((axis.name for axis in others), values, strict=True))
        for values in itertools.product(*(axis.values for axis in others))
    ]

    async def curve(number: int, at: tuple[tuple[str, str], ...]) -> Curve:
        rows: list[Row] = []

        async def judge(step: int, repeat: int) -> str:
            settings = (*at, (scale.name, scale.text(step)))
            sets = tuple(f"{name}={value}" for name, value in (*fixed, *settings))
            memory = _memory(scenario, sets)
            task = PointTask(step, repeat, str(scenario.folder), sets, settings, memory, timeout_scale=timeout_scale)
            async with capacity.room_for(memory):
                row, _ = await run_point(task, store)
            rows.append(row)
            ended(row)
            return row.verdict

        found = await find_edges(judge, scale.steps, scan=scan, repeat=repeat)
        # With the axis set as well: its default may be one that the other settings refuse.
        at_edge = scale.text(found.edges[0].low if found.edges else 0)
        parameters = _parameters(scenario, (*fixed, *at, (scale.name, at_edge)))
        edges = tuple(_told(edge, scale, rows, parameters) for edge in sorted(found.edges, key=lambda edge: edge.low))
        return Curve(at, edges, tuple(sorted(rows, key=lambda row: (row.point, row.repeat))))

    return list(await asyncio.gather(*(curve(number, at) for number, at in enumerate(points))))


def _memory(scenario: Scenario, sets: tuple[str, ...]) -> int:
    try:
        settings = parse_settings(scenario, sets)
    except WrongCall:
        return 0
    return settings.memory + settings.swap


def _parameters(scenario: Scenario, settings: Sequence[tuple[str, str]]) -> Mapping[str, object]:
    try:
        return parse_settings(scenario, [f"{name}={text}" for name, text in settings]).parameters
    except WrongCall:
        return {}


def _told(edge: Edge, scale: Scale, rows: Sequence[Row], parameters: Mapping[str, object]) -> CurveEdge:
    predicted = predict(edge, scale.name, rows, parameters)
    low, high = scale.text(edge.low), scale.text(edge.high)
    if predicted is None:
        return CurveEdge(edge, low, high)
    middle = (scale.value(edge.low) + scale.value(edge.high)) / 2
    off = middle - Fraction(predicted)
    megabytes = f"{float(off) / (1 << 20):+.1f}M"
    return CurveEdge(edge, low, high, show("size", Fraction(round(predicted) >> 12 << 12)), megabytes)
