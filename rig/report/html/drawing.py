"""A panel of the timeline as SVG that fits any width: curves in the SVG, all text beside it as text.

The SVG is stretched to its box (preserveAspectRatio="none") and its strokes are not; ticks and labels are HTML
placed in percent, so that they keep their size on a telephone and on paper. Colours are classes: the style sheet has
them for light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rig.report.plots.timeline import Panel, Series, Timeline, Value

__all__ = ["DrawnPanel", "DrawnSeries", "draw", "number"]

WIDTH, HEIGHT = 1000, 100


@dataclass(frozen=True)
class DrawnSeries:
    name: str
    css: str
    path: str
    last: str


@dataclass(frozen=True)
class DrawnPanel:
    """A panel ready for the template. ticks and limits: (percent from the bottom, text)."""

    panel: Panel
    series: tuple[DrawnSeries, ...]
    ticks: tuple[tuple[float, str], ...]
    limits: tuple[tuple[float, str], ...]
    summary: str


def draw(timeline: Timeline) -> list[DrawnPanel]:
    """Return every panel of a timeline as paths and labels."""
    return [_panel(panel, timeline.places) for panel in timeline.panels]


def number(value: Value) -> str:
    """Return a number as a person reads it: three digits, thousands grouped, – for nothing."""
    if value is None:
        return "–"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 or value == 0 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def _panel(panel: Panel, places: Sequence[float]) -> DrawnPanel:
    ticks = _log_ticks(panel) if panel.log else _ticks(panel.top)
    height = _height(panel, ticks)
    series = _stacked(panel, places, height) if panel.stacked else _curves(panel, places, height)
    return DrawnPanel(
        panel=panel,
        series=tuple(series),
        ticks=tuple((100 - height(tick), number(tick)) for tick in ticks),
        limits=tuple((100 - height(limit.value), f"{limit.name} {number(limit.value)}") for limit in panel.limits),
        summary=_summary(panel),
    )


def _height(panel: Panel, ticks: Sequence[float]) -> Callable[[float], float]:
    """Value -> distance from the top, 0 to HEIGHT."""
    top = max(panel.top, ticks[-1]) if not panel.stacked else panel.top
    if not panel.log:
        return lambda value: HEIGHT - HEIGHT * value / top
    low, high = math.log10(min(panel.bottom, ticks[0])), math.log10(top)
    reach = (high - low) or 1
    return lambda value: HEIGHT - HEIGHT * (math.log10(max(value, 10**low)) - low) / reach


def _ticks(top: float) -> list[float]:
    raw = top / 4
    scale = 10 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(each * scale for each in (1, 2, 5, 10) if each * scale >= raw)
    return [step * index for index in range(int(top / step + 1e-9) + 1)]


def _log_ticks(panel: Panel) -> list[float]:
    low, high = math.floor(math.log10(panel.bottom)), math.ceil(math.log10(panel.top))
    return [10.0**power for power in range(low, max(high, low + 1) + 1)]


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
        colour += not series.kind
        drawn.append(_drawn(series, f"area {css}", _line([*up, *reversed(down)]) + "Z" if len(up) > 1 else ""))
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


def _drawn(series: Series, css: str, path: str) -> DrawnSeries:
    last = next((value for value in reversed(series.values) if value is not None), None)
    return DrawnSeries(series.name, css, path, number(last))


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"{'L' if i else 'M'}{x * WIDTH:.1f} {y:.2f}" for i, (x, y) in enumerate(points))


def _summary(panel: Panel) -> str:
    parts = []
    for series in panel.series:
        values = [value for value in series.values if value is not None]
        if values:
            parts.append(f"{series.name} from {number(values[0])} to {number(values[-1])} {panel.unit}")
    return "; ".join(parts)
