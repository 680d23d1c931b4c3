"""The report of a frontier as one HTML file: a row for each curve, the axis to the right, verdicts as areas and runs.

The frontier goes from row to row as a line through the middle of each edge; a dashed line goes through what was
foreseen. Edges of one kind (the verdict below, the verdict above) are one line, the first of them in each row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rig.report.frontier import Frontier, FrontierCurve, FrontierEdge
from rig.report.html.environment import TEMPLATES, environment
from rig.report.html.sweep_page import LETTERS
from rig.report.sanitize import plain
from rig.units import format_duration, format_size, parse_duration, parse_size

__all__ = ["Drawn", "drawn", "frontier_report"]

MOST_ROWS = 200
WIDTH, ROW = 1000.0, 40.0

Kind = tuple[str, str]


@dataclass(frozen=True)
class Area:
    """From left to right, in percent of the axis, what verdict was found."""

    left: float
    width: float
    verdict: str

    @property
    def letter(self) -> str:
        return LETTERS.get(self.verdict, "?")


@dataclass(frozen=True)
class DrawnRow:
    """One curve. runs: (percent of the axis, verdict, words)."""

    title: str
    areas: tuple[Area, ...]
    runs: tuple[tuple[float, str, str], ...]


@dataclass(frozen=True)
class Line:
    """A frontier through the rows; found and predicted are paths over a height of ROW a row."""

    kind: Kind
    found: str
    predicted: str


@dataclass(frozen=True)
class Drawn:
    rows: tuple[DrawnRow, ...]
    lines: tuple[Line, ...]
    ticks: tuple[tuple[float, str], ...]

    @property
    def height(self) -> float:
        return ROW * len(self.rows)


def drawn(frontier: Frontier) -> Drawn:
    """Return the picture of a frontier. A value that cannot be read (a damaged file) is left out."""
    low, high = (_number(frontier.kind, text) for text in (frontier.low, frontier.high))
    if low is None or high is None or high <= low:
        return Drawn((), (), ())

    def place(text: str | None) -> float | None:
        value = None if text is None else _number(frontier.kind, text)
        return None if value is None else min(max((value - low) / (high - low), 0.0), 1.0)

    curves = frontier.curves[:MOST_ROWS]
    return Drawn(
        rows=tuple(_row(curve, place) for curve in curves),
        lines=tuple(_lines(curves, place)),
        ticks=tuple(
            (100 * (value - low) / (high - low), _text(frontier.kind, value))
            for value in _ticks(frontier.kind, low, high)
        ),
    )


def frontier_report(frontier: Frontier, link: Callable[[str], str | None] = lambda run: None) -> str:
    """Return the page. link: a run's id -> where its report lies as seen from the page, None where there is none."""
    rows = [(curve, edge) for curve in frontier.curves for edge in curve.edges]
    return environment().get_template("frontier.html.j2").render(
        frontier=frontier,
        css=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        picture=drawn(frontier),
        edges=rows,
        names=[plain(name) for name, _ in frontier.curves[0].at] if frontier.curves else [],
        fixed=" ".join(f"{name}={value}" for name, value in frontier.fixed),
        letters=LETTERS,
        foreseen=any(edge.predicted is not None for _, edge in rows),
        quiet=[curve for curve in frontier.curves if not curve.edges],
        left_out=max(0, len(frontier.curves) - MOST_ROWS),
        title=_title,
        link=link,
        near=lambda text: _near(frontier.kind, text),
    )  # fmt: skip


def _title(curve: FrontierCurve) -> str:
    return " ".join(f"{plain(name)}={plain(value)}" for name, value in curve.at)


def _row(curve: FrontierCurve, place: Callable[[str | None], float | None]) -> DrawnRow:
    runs = []
    for run in curve.runs:
        if (at := place(run.value)) is not None:
            runs.append((100 * at, run.verdict, f"{plain(run.value)}: {plain(run.verdict)}"))
    return DrawnRow(_title(curve), tuple(_areas(curve, place)), tuple(runs))


def _areas(curve: FrontierCurve, place: Callable[[str | None], float | None]) -> Iterable[Area]:
    """The verdicts between the edges; with no edge the one that all runs gave."""
    left = 0.0
    for edge in curve.edges:
        middle = _middle(edge, place)
        if middle is None or middle < left:
            continue
        yield Area(100 * left, 100 * (middle - left), edge.below)
        left = middle
    verdicts = {run.verdict for run in curve.runs}
    last = curve.edges[-1].above if curve.edges else next(iter(verdicts)) if len(verdicts) == 1 else ""
    if last:
        yield Area(100 * left, 100 * (1 - left), last)


def _lines(curves: Sequence[FrontierCurve], place: Callable[[str | None], float | None]) -> Iterable[Line]:
    kinds: dict[Kind, None] = dict.fromkeys((edge.below, edge.above) for curve in curves for edge in curve.edges)
    for kind in kinds:
        found: list[float | None] = []
        foreseen: list[float | None] = []
        for curve in curves:
            edge = next((each for each in curve.edges if (each.below, each.above) == kind), None)
            found.append(None if edge is None else _middle(edge, place))
            foreseen.append(None if edge is None else place(edge.predicted))
        yield Line(kind, _path(found), _path(foreseen))


def _middle(edge: FrontierEdge, place: Callable[[str | None], float | None]) -> float | None:
    low, high = place(edge.low), place(edge.high)
    return None if low is None or high is None else (low + high) / 2


def _path(places: Sequence[float | None]) -> str:
    """A line down the rows: upright within a row, slanting to the next, broken where a row has none."""
    path, pen = "", "M"
    for index, at in enumerate(places):
        if at is None:
            pen = "M"
            continue
        x = f"{at * WIDTH:.1f}"
        path += f"{pen}{x} {index * ROW + 4:.0f}L{x} {(index + 1) * ROW - 4:.0f}"
        pen = "L"
    return path


def _number(kind: str, text: str) -> float | None:
    try:
        if kind == "size":
            return float(parse_size(text))
        return float(parse_duration(text)) if kind == "duration" else float(text)
    except ValueError:
        return None


def _text(kind: str, value: float) -> str:
    if kind == "size":
        return format_size(round(value))
    return format_duration(value) if kind == "duration" else f"{value:g}"


def _near(kind: str, text: str) -> str:
    """A value as a person reads it: 167.2M, not 171248K."""
    value = _number(kind, text)
    return f"{value / (1 << 20):.1f}M" if kind == "size" and value is not None else plain(text)


def _ticks(kind: str, low: float, high: float) -> list[float]:
    raw = (high - low) / 6
    base = 2.0 if kind == "size" else 10.0
    scale = base ** math.floor(math.log(raw, base))
    steps = (1, 2) if kind == "size" else (1, 2, 5, 10)
    step = next((each * scale for each in steps if each * scale >= raw), steps[-1] * scale)
    if kind == "int":
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, first + 20) if number * step <= high * (1 + 1e-9)]
