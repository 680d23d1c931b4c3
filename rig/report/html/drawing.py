# SPDX-License-Identifier: MIT
"""A panel of the timeline as SVG that fits any width: curves in the SVG, all text beside it as text.

The SVG is stretched to its box (preserveAspectRatio="none") and its strokes are not; ticks and labels are HTML
placed in percent, so that they keep their size on a telephone and on paper. Colours are CSS classes: the style sheet
defines them for light and dark. matplotlib is not used here, because its chart has one size and one set of colours, and
its import takes as long as the rest of a report. uPlot and Vega need a script. `rig plot` draws with matplotlib.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rig.report.plots.timeline import Panel, Series, Timeline, Value

__all__ = ["DrawnPanel", "DrawnSeries", "Name", "draw", "number", "seconds", "steps"]

WIDTH, HEIGHT = 1000, 100
MOST_TICKS = 6
STEP_APART = 0.03
LETTER = 0.0085
"""Of the width of a wide plot, a letter of a name in it."""
LINE = 7.0
"""Of the height of the stacked plot, a line of text."""
# Every other area of a stack has a pattern, so that neighbours differ in more than colour.
HATCHES = {1: "rising", 3: "dots", 5: "falling", 7: "dots"}


@dataclass(frozen=True)
class Name:
    """A series' name within its area. x, y: percent from the left and from the top, of its middle."""

    text: str
    x: float
    y: float


@dataclass(frozen=True)
class DrawnSeries:
    name: str
    css: str
    path: str
    last: str
    hatch: str = ""
    """The pattern over its colour, for who cannot tell colours; empty for none."""


@dataclass(frozen=True)
class DrawnPanel:
    """A panel ready for the template. ticks and limits: (percent from the bottom, text)."""

    panel: Panel
    series: tuple[DrawnSeries, ...]
    ticks: tuple[tuple[float, str], ...]
    limits: tuple[tuple[float, str], ...]
    summary: str
    names: tuple[Name, ...] = ()


def draw(timeline: Timeline) -> list[DrawnPanel]:
    """Return every panel of a timeline as paths and labels."""
    return [_panel(panel, timeline.places) for panel in timeline.panels]


def number(value: Value) -> str:
    """Return a number as text: three significant digits, thousands grouped, – for None."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == 0 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _short(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size or value == size:
            return f"{value / size:,g}{letter}"
    return number(value)


def seconds(times: Sequence[float]) -> list[str]:
    """Return times as text with as many decimals as neighbours need to differ: at least 1 below 100 s, at most 3."""
    gaps = [right - left for left, right in pairwise(times)]
    finest = min((gap for gap in gaps if gap > 0), default=1.0)
    return [f"{time:.{_decimals(time, finest)}f}" for time in times]


def steps(timeline: Timeline) -> list[tuple[float, str]]:
    """Return the programs' own steps that have room for their number: (place from 0 to 1, number)."""
    found: list[tuple[float, str]] = []
    for time, text in timeline.work:
        place = timeline.scale.place(time)
        if not found or place - found[-1][0] >= STEP_APART:
            found.append((place, text.removeprefix("step ").split(" ", 1)[0][:6]))
    return found


def _decimals(time: float, finest: float) -> int:
    needed = 0 if finest >= 1 else 1 if finest >= 0.1 else 2 if finest >= 0.01 else 3
    return max(needed, 0 if time >= 100 else 1)


def _panel(panel: Panel, places: Sequence[float]) -> DrawnPanel:
    ticks = _log_ticks(panel) if panel.log else _ticks(panel.top)
    height = _height(panel, ticks)
    series = _stacked(panel, places, height) if panel.stacked else _curves(panel, places, height)
    return DrawnPanel(
        panel=panel,
        series=tuple(series),
        ticks=tuple((100 - height(tick), _short(tick)) for tick in ticks),
        limits=tuple((100 - height(limit.value), f"{limit.name} {number(limit.value)}") for limit in panel.limits),
        summary=_summary(panel),
        names=tuple(_names(panel, places, height)) if panel.stacked else (),
    )


def _height(panel: Panel, ticks: Sequence[float]) -> Callable[[float], float]:
    """Return a function from a value to its distance from the top of the picture, 0 to HEIGHT."""
    top = max(panel.top, ticks[-1]) if not panel.stacked else panel.top
    if not panel.log:
        return lambda value: HEIGHT - HEIGHT * value / top
    low, high = math.log10(min(panel.bottom, ticks[0])), math.log10(top)
    reach = (high - low) or 1
    return lambda value: HEIGHT - HEIGHT * (math.log10(max(value, 10**low)) - low) / reach


def _ticks(top: float) -> list[float]:
    """Return ticks from 0 to the top, at most 5, in steps of 1, 2 or 5 times a power of ten."""
    raw = top / 4
    scale = 10 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(each * scale for each in (1, 2, 5, 10) if each * scale >= raw)
    return [step * index for index in range(int(top / step + 1e-9) + 1)]


def _log_ticks(panel: Panel) -> list[float]:
    low, high = math.floor(math.log10(panel.bottom)), math.ceil(math.log10(panel.top))
    high = max(high, low + 1)
    step = -(-(high - low) // MOST_TICKS)
    return [10.0**power for power in range(low, high + 1, step)]


def _stacked(panel: Panel, places: Sequence[float], height: Callable[[float], float]) -> list[DrawnSeries]:
    below = [0.0] * len(places)
    drawn: list[DrawnSeries] = []
    colour = 0
    for series in panel.series:
        above = [low + (value or 0) for low, value in zip(below, series.values, strict=True)]
        there = [value is not None for value in series.values]
        up = [(x, height(y)) for x, y, ok in zip(places, above, there, strict=True) if ok]
        down = [(x, height(y)) for x, y, ok in zip(places, below, there, strict=True) if ok]
        css = f"s-{series.kind}" if series.kind else f"s{colour % 8}"
        path = _line([*up, *reversed(down)]) + "Z" if len(up) > 1 else ""
        hatch = HATCHES.get(colour % 8, "") if not series.kind else ""
        drawn.append(_drawn(series, f"area {css}", path, hatch))
        colour += not series.kind
        below = above
    return drawn


def _curves(panel: Panel, places: Sequence[float], height: Callable[[float], float]) -> list[DrawnSeries]:
    drawn = []
    for index, series in enumerate(panel.series):
        path, before = "", 0.0
        run: list[tuple[float, float]] = []
        for x, value in zip(places, series.values, strict=True):
            if value is None:
                path, run = path + _line(run), []
            else:
                run += [(before, height(value))] if panel.stepped else []
                run.append((x, height(value)))
            before = x
        drawn.append(_drawn(series, f"curve c{index}", path + _line(run)))
    return drawn


def _names(panel: Panel, places: Sequence[float], height: Callable[[float], float]) -> list[Name]:
    """Return the names that fit their areas, each placed where its area is highest over the name's whole width."""
    columns = [index / 100 for index in range(101) if places and places[0] <= index / 100 <= places[-1]]
    below = [0.0] * len(columns)
    found = []
    for series in panel.series:
        values = [_between(places, series.values, column) for column in columns]
        above = [low + value for low, value in zip(below, values, strict=True)]
        half = max(1, round(100 * LETTER * len(series.name) / 2 + 0.5))
        best, at, middle = LINE, None, 0.0
        for index in range(half, len(columns) - half):
            window = slice(index - half, index + half + 1)
            top, bottom = height(min(above[window])), height(max(below[window]))
            if bottom - top > best + 0.5:
                best, at, middle = bottom - top, columns[index], (top + bottom) / 2
        if at is not None:
            found.append(Name(series.name, 100 * at, middle))
        below = above
    return found


def _between(places: Sequence[float], values: Sequence[Value], place: float) -> float:
    right = min(max(1, bisect_right(places, place)), len(places) - 1)
    left = max(0, right - 1)
    (x0, y0), (x1, y1) = (places[left], values[left] or 0.0), (places[right], values[right] or 0.0)
    return y1 if x1 <= x0 else y0 + (y1 - y0) * (place - x0) / (x1 - x0)


def _drawn(series: Series, css: str, path: str, hatch: str = "") -> DrawnSeries:
    last = next((value for value in reversed(series.values) if value is not None), None)
    return DrawnSeries(series.name, css, path, number(last), hatch)


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if i else 'M'}{x * WIDTH:.1f} {y:.2f}" for i, (x, y) in enumerate(points))


def _summary(panel: Panel) -> str:
    parts = []
    for series in panel.series:
        values = [value for value in series.values if value is not None]
        if values:
            parts.append(f"{series.name} from {number(values[0])} to {number(values[-1])} {panel.unit}")
    return "; ".join(parts)
