# SPDX-License-Identifier: MIT
"""The report of a threshold search as one HTML file: a row for each curve, the axis to the right, verdicts as areas.

A line connects the thresholds from row to row, through the middle of each edge; a dashed line connects the predicted
values. All edges with the same verdict below and the same verdict above form one line; a row contributes the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.report.html.environment import environment, stylesheet
from rig.report.html.sweep_page import LETTERS
from rig.sanitize import plain
from rig.sweep.frontier.document import Curve, Frontier, FrontierAxis
from rig.sweep.row import Row
from rig.units import format_duration, format_size

if TYPE_CHECKING:
    from rig.report.html.links import Link

__all__ = ["Area", "Drawn", "DrawnRow", "Line", "drawn", "frontier_report"]

MOST_ROWS = 200
MOST_RUNS = 5000
WIDTH, ROW = 1000.0, 40.0

Kind = tuple[str, str]
Place = Callable[[float], float]


@dataclass(frozen=True)
class Area:
    """A part of the axis with one verdict; left and right in percent of the axis."""

    left: float
    width: float
    verdict: str

    @property
    def letter(self) -> str:
        return LETTERS.get(self.verdict, "?")


@dataclass(frozen=True)
class DrawnRow:
    """One curve. points: (percent of the axis, text)."""

    title: str
    areas: tuple[Area, ...]
    points: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Line:
    """One threshold through the rows. found, foreseen: SVG paths, each row ROW high."""

    kind: Kind
    found: str
    foreseen: str


@dataclass(frozen=True)
class Drawn:
    """ticks: (percent of the axis, its value as text)."""

    rows: tuple[DrawnRow, ...]
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def height(self) -> float:
        return ROW * len(self.rows)


def drawn(frontier: Frontier) -> Drawn:
    """Return the picture of a threshold search; it has no rows when the axis has no length."""
    axis = frontier.axis
    reach = axis.high - axis.low
    if not reach > 0:
        return Drawn((), (), ())

    def place(value: float) -> float:
        return min(max((value - axis.low) / reach, 0.0), 1.0)

    curves = frontier.curves[:MOST_ROWS]
    return Drawn(
        rows=tuple(_row(curve, axis, place) for curve in curves),
        lines=tuple(_lines(curves, place)),
        ticks=tuple((100 * place(value), _text(axis, value)) for value in _ticks(axis)),
    )


def frontier_report(
    frontier: Frontier,
    id_: str,
    rows: Sequence[Row],
    link: Link = lambda run: None,
) -> str:
    """Return the page. rows: the runs of the search.

    link: returned by link_reports() for the directory of the page.
    """
    edges = [(curve, edge) for curve in frontier.curves for edge in curve.edges]
    found = {(id(curve), edge.below, edge.above) for curve, edge in edges}
    shown = rows[:MOST_RUNS]
    return environment().get_template("frontier.html.j2").render(
        frontier=frontier,
        id=id_,
        css=stylesheet(),
        picture=drawn(frontier),
        edges=edges,
        names=[plain(name) for name in frontier.curves[0].at] if frontier.curves else [],
        fixed=" ".join(f"{name}={value}" for name, value in frontier.fixed.items()),
        letters=LETTERS,
        foreseen=any(curve.foreseen for curve in frontier.curves),
        missed=[
            (curve, each) for curve in frontier.curves for each in curve.foreseen
            if (id(curve), each.below, each.above) not in found
        ],
        quiet=[curve for curve in frontier.curves if not curve.edges],
        left_out=max(0, len(frontier.curves) - MOST_ROWS),
        runs=[(curve, _runs(curve, shown)) for curve in frontier.curves],
        text=lambda value: _text(frontier.axis, value),
        title=_title,
        link=link,
    )  # fmt: skip


def _title(curve: Curve) -> str:
    return " ".join(f"{plain(name)}={plain(value)}" for name, value in curve.at.items())


def _runs(curve: Curve, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if all(row.settings.get(name) == value for name, value in curve.at.items())]


def _row(curve: Curve, axis: FrontierAxis, place: Place) -> DrawnRow:
    points = [
        (100 * place(point.value), f"{_text(axis, point.value)}: {plain(', '.join(point.verdicts))}")
        for point in curve.points
    ]
    return DrawnRow(_title(curve), tuple(_areas(curve, place)), tuple(points))


def _areas(curve: Curve, place: Place) -> Iterable[Area]:
    """Yield the verdicts between the edges; without an edge, the verdict of all runs."""
    left = 0.0
    for edge in curve.edges:
        middle = place(edge.middle)
        if middle > left:
            yield Area(100 * left, 100 * (middle - left), edge.below)
            left = middle
    verdicts = {verdict for point in curve.points for verdict in point.verdicts}
    last = curve.edges[-1].above if curve.edges else next(iter(verdicts)) if len(verdicts) == 1 else ""
    if last:
        yield Area(100 * left, 100 * (1 - left), last)


def _lines(curves: Sequence[Curve], place: Place) -> Iterable[Line]:
    kinds: dict[Kind, None] = {}
    for curve in curves:
        kinds |= dict.fromkeys((edge.below, edge.above) for edge in curve.edges)
        kinds |= dict.fromkeys((each.below, each.above) for each in curve.foreseen)
    for kind in kinds:
        found = [_first(each.middle for each in curve.edges if (each.below, each.above) == kind) for curve in curves]
        foreseen = [_first(_values_foreseen(curve, kind)) for curve in curves]
        yield Line(kind, _path(found, place), _path(foreseen, place))


def _values_foreseen(curve: Curve, kind: Kind) -> Iterable[float]:
    """Yield the values predicted beside the found edge, or else those of the kernel's arithmetic."""
    for edge in curve.edges:
        if (edge.below, edge.above) == kind and edge.predicted_value is not None:
            yield edge.predicted_value
    for each in curve.foreseen:
        if (each.below, each.above) == kind:
            yield each.value


def _first(values: Iterable[float]) -> float | None:
    return next(iter(values), None)


def _path(values: Sequence[float | None], place: Place) -> str:
    """Return an SVG path down the rows: vertical in a row, slanting to the next, broken at a row without a value."""
    path, pen = "", "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        x = f"{place(value) * WIDTH:.1f}"
        path += f"{pen}{x} {index * ROW + 4:.0f}L{x} {(index + 1) * ROW - 4:.0f}"
        pen = "L"
    return path


def _text(axis: FrontierAxis, value: float) -> str:
    if axis.kind == "size":
        megabytes = value / (1 << 20)
        return format_size(round(value)) if megabytes == round(megabytes) else f"{megabytes:.1f}M"
    return format_duration(value) if axis.kind == "duration" else f"{value:.6g}"


def _ticks(axis: FrontierAxis) -> list[float]:
    raw = (axis.high - axis.low) / 6
    base = 2.0 if axis.kind == "size" else 10.0
    scale = base ** math.floor(math.log(raw, base))
    steps = (1, 2) if axis.kind == "size" else (1, 2, 5, 10)
    step = next((each * scale for each in steps if each * scale >= raw), steps[-1] * scale)
    if axis.kind == "int":
        step = max(1.0, step)
    first = math.ceil(axis.low / step - 1e-9)
    return [number * step for number in range(first, first + 20) if number * step <= axis.high * (1 + 1e-9)]
