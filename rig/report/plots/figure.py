# SPDX-License-Identifier: MIT
"""One picture of a run as a file, drawn with matplotlib for papers and slides: SVG with real text, or PNG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.errors import RigError, UsageError
from rig.extras import lacking
from rig.report.plots.frames import layers
from rig.report.plots.pages import COLOURS, ORDER, cells, pages_pictures
from rig.report.plots.timeline import Panel, Timeline, timeline
from rig.sanitize import plain

if TYPE_CHECKING:
    from rig.report.html.source import Source

__all__ = ["PICTURES", "plot"]

INK, RULE, BAD = "#1d2329", "#ccd3da", "#a4161a"
STACK = ("#1f4468", "#b5651d", "#4a7fb5", "#7a3e8f", "#9cc3e4", "#2a7f62", "#8c8c00", "#8a3c3c")
KINDS = {"free": "#eef1f4", "kernel": "#6b7580", "cache": "#7b9e6b"}
MOST_MAPS = 12
MOST_BARS = 15
FORMATS = (".svg", ".png")


def plot(source: Source, picture: str, path: Path) -> None:
    """Draw one of PICTURES into `path`, whose ending is .svg or .png.

    Raises UsageError for an unknown picture or ending and for a run that has no such picture, RigError where matplotlib
    is missing or the file cannot be written.
    """
    if path.suffix not in FORMATS:
        raise UsageError(
            f"'{path.suffix}' is not the ending of a picture", where=path, remedy="name the file *.svg or *.png"
        )
    if picture not in PICTURES:
        raise UsageError(f"there is no picture '{picture}'", remedy=f"one of {', '.join(PICTURES)}")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise lacking("matplotlib", str(error)) from error
    run = source.run
    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": run.id, "font.size": 9, "text.color": INK, "axes.edgecolor": RULE,
        "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.parse_math": False,
    }  # fmt: skip
    title = f"{plain(run.scenario, longest=60)}: {picture} ({plain(run.id, longest=40)})"
    metadata: Mapping[str, Any] = {"Title": title, "Date": None} if path.suffix == ".svg" else {"Title": title}
    with matplotlib.rc_context(settings):
        figure = Figure(layout="constrained")
        PICTURES[picture](source, figure)
        try:
            figure.savefig(path, dpi=160, metadata=dict(metadata))
        except OSError as error:
            raise RigError(f"the picture cannot be written: {error.strerror}", where=path) from error


def _timeline(source: Source, figure: Any) -> None:
    drawn = timeline(source.run, source.records, source.oom_event)
    if drawn is None:
        raise _none(source, "samples")
    figure.set_size_inches(9, 1.6 * (len(drawn.panels) + 1.5))
    heights = [2.5 if panel.stacked else 1 for panel in drawn.panels]
    axes = figure.subplots(len(drawn.panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    for ax, panel in zip(axes, drawn.panels, strict=True):
        _panel(ax, panel, drawn)
        ax.set_title(f"{panel.title}, {panel.unit}", loc="left", fontsize=9)
        for mark in drawn.marks:
            place = drawn.scale.place(mark.time)
            style = {"color": BAD, "lw": 1.5} if mark.kind == "oom" else {"color": "#57626d", "lw": 0.8, "ls": ":"}
            ax.axvline(place, **style)
    for mark in drawn.marks:
        at = (drawn.scale.place(mark.time), 1.12)
        axes[0].annotate(
            mark.label, at, xycoords=("data", "axes fraction"), rotation=35, fontsize=8, ha="left", va="bottom",
            color=BAD if mark.kind == "oom" else INK, annotation_clip=False,
        )  # fmt: skip
    ticks = drawn.scale.ticks([mark.time for mark in drawn.marks])
    axes[-1].set_xticks([drawn.scale.place(tick) for tick in ticks], [f"{tick:.4g}" for tick in ticks])
    axes[-1].set_xlim(0, 1)
    bent = "" if drawn.scale.straight else "; straight only between marks"
    axes[-1].set_xlabel(f"seconds of the guest{bent}\n{drawn.clock}", fontsize=8)


def _panel(ax: Any, panel: Panel, drawn: Timeline) -> None:
    nothing = float("nan")
    if panel.stacked:
        colours, free = [], iter(STACK * 4)
        for series in panel.series:
            colours.append(KINDS.get(series.kind) or next(free))
        values = [[value or 0 for value in series.values] for series in panel.series]
        names = [series.name for series in panel.series]
        areas = ax.stackplot(drawn.places, *values, labels=names, colors=colours, edgecolor="white", linewidth=0.5)
        # Every other area has a pattern, for prints without colour.
        for index, area in enumerate(area for area, series in zip(areas, panel.series, strict=True) if not series.kind):
            area.set_hatch(("", "///", "", "..")[index % 4])
        ax.set_ylim(0, panel.top)
    else:
        styles = ((STACK[0], "-"), (STACK[1], "--"), (STACK[3], ":"))
        for series, (colour, line) in zip(panel.series, styles, strict=False):
            ax.plot(
                drawn.places, [nothing if value is None else value for value in series.values], color=colour, ls=line,
                label=series.name, drawstyle="steps-pre" if panel.stepped else "default",
            )  # fmt: skip
        if panel.log:
            ax.set_yscale("log")
            ax.yaxis.set_major_formatter("{x:g}")
        else:
            ax.set_ylim(0, panel.top * 1.05)
    for limit in panel.limits:
        ax.axhline(limit.value, color=BAD, lw=0.8, ls=(0, (2, 3)))
    handles, labels = ax.get_legend_handles_labels()
    order = slice(None, None, -1) if panel.stacked else slice(None)
    ax.legend(handles[order], labels[order], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _pages(source: Source, figure: Any) -> None:
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    pictures = pages_pictures(source.records)
    if not pictures:
        raise _none(source, "page map")
    step = -(-len(pictures) // MOST_MAPS)
    shown = [each for index, each in enumerate(pictures) if index % step == 0 or each.stopped or each is pictures[-1]]
    columns = min(4, len(shown))
    lines = -(-len(shown) // columns)
    figure.set_size_inches(2.3 * columns, 2.3 * lines + 0.5)
    grid = figure.subplots(lines, columns, squeeze=False)
    colours = ListedColormap([*COLOURS.values(), "#ffffff"])
    for ax in grid.flat:
        ax.set_axis_off()
    for ax, each in zip(grid.flat, shown, strict=False):
        image = [list(line) for line in cells(each)]
        ax.imshow(image, cmap=colours, vmin=0, vmax=len(ORDER), interpolation="nearest", aspect="auto")
        ax.set_title(f"{each.label}, {each.time:.1f} s", fontsize=8, color=BAD if each.stopped else INK)
    meanings = {state.state: state.meaning for each in shown for state in each.states}
    patches = [Patch(facecolor=COLOURS[state], label=meaning) for state, meaning in meanings.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _zones(source: Source, figure: Any) -> None:
    oom = source.oom_event
    if oom is None or not oom.zones:
        raise _none(source, "OOM report with zones")
    zones = [zone for zone in oom.zones if zone.high][:MOST_BARS]
    figure.set_size_inches(7, 0.9 + 0.8 * len(zones))
    axes = figure.subplots(len(zones) or 1, 1, squeeze=False)[:, 0]
    for ax, zone in zip(axes, zones, strict=False):
        ax.barh([0], [zone.free], color=BAD if zone.free <= zone.min else STACK[2])
        for name in ("min", "low", "high"):
            ax.axvline(getattr(zone, name), color=INK, lw=1)
        ax.set_title(f"free {zone.free}; min {zone.min}, low {zone.low}, high {zone.high}", loc="right", fontsize=8)
        ax.set_yticks([0], [f"node {zone.node} {plain(zone.name, longest=12)}"])
        ax.set_xlim(0, max(zone.free, zone.high) * 1.15)
    axes[-1].set_xlabel("kB free at the OOM, and the zone's watermarks; each zone has a scale of its own")


def _badness(source: Source, figure: Any) -> None:
    oom = next(iter(source.run.ooms), None)
    ranked = [row for row in oom.ranking if row.points] if oom else []
    if not ranked:
        raise _none(source, "ranking of tasks")
    rows = list(reversed(ranked[:MOST_BARS]))
    figure.set_size_inches(7, 1.2 + 0.35 * len(rows))
    ax = figure.subplots()
    left = [0] * len(rows)
    parts = (
        ("resident", [row.rss for row in rows], STACK[2]),
        ("swapped", [row.swap for row in rows], STACK[3]),
        ("page tables", [row.page_tables for row in rows], STACK[1]),
        (
            "oom_score_adj",
            [max(0, (row.points or 0) - row.rss - row.swap - row.page_tables) for row in rows],
            "#6b7580",
        ),
    )
    for name, sizes, colour in parts:
        ax.barh(range(len(rows)), sizes, left=left, label=name, color=colour)
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    tie = sum(row.tied for row in rows) > 1
    marks = [" ← killed" if row.killed else " tied" if row.tied and tie else "" for row in rows]
    names = [f"{plain(row.name, longest=20)} ({row.pid}){mark}" for row, mark in zip(rows, marks, strict=True)]
    ax.set_yticks(range(len(rows)), names)
    ax.set_xlabel("badness, pages")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=4, frameon=False, fontsize=8)


def _trace(source: Source, figure: Any) -> None:
    oom = next(iter(source.run.ooms), None)
    found = layers(oom.frames) if oom else []
    if not found:
        raise _none(source, "trace of an OOM report")
    lines = sum(len(layer.frames) + 2 for layer in found)
    figure.set_size_inches(9, 0.22 * lines + 0.3)
    ax = figure.subplots()
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    ax.set_ylim(-lines, 0)
    at = 0.0
    for layer in found:
        height = len(layer.frames) + 1.3
        ax.add_patch(_box(at, height))
        if at:
            ax.annotate("", (0.03, -at), (0.03, -at + 0.7), arrowprops={"arrowstyle": "->", "color": INK})
        ax.text(0.02, -at - 0.7, layer.title, weight="bold", va="center")
        for index, (frame, about) in enumerate(layer.frames):
            y = -at - 1.7 - index
            ax.text(0.03, y, plain(frame.function, longest=48), family="monospace", fontsize=8, va="center")
            if about:
                ax.text(0.40, y, f"{about.does} ({about.file})", fontsize=7.5, va="center")
        at += height + 0.7


def _box(at: float, height: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((0, -at - height), 1, height, facecolor="#f3f5f7", edgecolor=RULE)


def _none(source: Source, what: str) -> UsageError:
    return UsageError(f"this run has no {what}", where=source.run.id, remedy="'rig report' shows what it has")


PICTURES: Mapping[str, Callable[[Source, Any], None]] = {
    "timeline": _timeline,
    "pages": _pages,
    "zones": _zones,
    "badness": _badness,
    "trace": _trace,
}
