# SPDX-License-Identifier: MIT
"""An explanation as HTML elements: for a run's report, for `rig explain --html`, and for the page in the browser.

It imports klog and Python's own library only, because the page runs it where nothing else is installed. Widths of bars
are SVG attributes, because a style attribute would need a wider Content-Security-Policy.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from xml.etree.ElementTree import Element

from rig.klog.event import Event
from rig.klog.explain.explanation import Bar, Explanation, Picture, Remedy
from rig.klog.explain.words import size
from rig.klog.oom.oom_event import OomEvent
from rig.report.html.elements import Child, tag
from rig.report.html.task_table import task_table

__all__ = ["events_table", "explained", "scroller"]


def events_table(events: Sequence[Event]) -> Element:
    """Return the table of a log's events."""
    heads = [tag("th", name, scope="col") for name in ("#", "kind", "time", "lines", "title")]
    return scroller("Events of the log", tag("thead", tag("tr", *heads)), tag("tbody", *map(_event_row, events)))


def _event_row(event: Event) -> Element:
    time = f"{event.time:.3f}" if event.time is not None else event.wall or ""
    came = f" (came of {event.caused_by})" if event.caused_by is not None else ""
    return tag(
        "tr",
        tag("td", str(event.number), class_="n"),
        tag("td", event.kind),
        tag("td", time, class_="n"),
        tag("td", f"{event.line}-{event.last_line}", class_="n"),
        tag("td", event.title, came, tag("span", " damaged", class_="bad") if event.corrupted else None),
    )


def scroller(label: str, *parts: Element) -> Element:
    """Return a table in a region of its own, which scrolls sideways where the screen is narrow."""
    return tag("div", tag("table", *parts), class_="scroll", tabindex=0, role="region", aria_label=label)


def explained(
    explanation: Explanation, event: Event, shown_lines: Collection[int], *, tasks: bool = True
) -> list[Element]:
    """Return the elements of an explanation, without its heading.

    shown_lines: the lines of the log that stand in the same page with the id `L` and their number; others are no links.
    tasks: whether the table of all tasks is part of it.
    """
    parts: list[Element] = []
    for sentence in explanation.summary:
        parts.append(tag("p", sentence.text, *_proof(sentence.lines, shown_lines), class_="summary"))
    for picture in explanation.pictures:
        parts += [tag("h3", picture.title), _picture(picture, shown_lines)]
    for section in explanation.sections:
        lines = [tag("li", each.text, *_proof(each.lines, shown_lines)) for each in section.sentences]
        parts += [tag("h3", section.title), tag("ul", *lines)]
    if explanation.remedies:
        remedies = [
            tag("li", f"{remedy.what}. ", tag("span", f"Cost: {remedy.cost}.{_measured(remedy)}", class_="cost"))
            for remedy in explanation.remedies
        ]
        parts += [tag("h3", "What would have changed it"), tag("ul", *remedies)]
    if tasks and isinstance(event, OomEvent) and event.tasks:
        parts += [tag("h3", "All tasks"), task_table(event, shown_lines)]
    if explanation.checks:
        checks = [
            tag(
                "li",
                f"{'holds' if check.ok else 'not so' if check.ok is False else 'not shown'}: {check.name} "
                f"({check.detail})",
                *(_proof(check.lines, shown_lines) if check.ok is False else ()),
                class_="bad" if check.ok is False else None,
            )
            for check in explanation.checks
        ]
        parts += [tag("h3", "Self-checks"), tag("ul", *checks)]
    if explanation.limits:
        parts += [tag("h3", "What this log cannot say"), tag("ul", *(tag("li", limit) for limit in explanation.limits))]
    if event.unknown:
        lines = [tag("li", line.text, *_proof((line.line,), shown_lines), class_="mono") for line in event.unknown]
        parts += [tag("h3", "Lines within it that were not understood"), tag("ul", *lines)]
    return parts


def _proof(lines: Sequence[int], shown_lines: Collection[int]) -> list[Child]:
    """Return ` [lines 3, 5]`, each number a link to the line where the page shows it."""
    if not lines:
        return []
    numbers: list[Child] = []
    for line in lines:
        numbers.append(", " if numbers else None)
        numbers.append(tag("a", str(line), href=f"#L{line}") if line in shown_lines else str(line))
    return [" ", tag("span", "[line " if len(lines) == 1 else "[lines ", *numbers, "]", class_="line")]


def _picture(picture: Picture, shown_lines: Collection[int]) -> Element:
    rows = []
    for bar in picture.bars:
        marks = ", ".join(f"{name} {size(value)}" for name, value in (*bar.parts, *bar.marks))
        rows.append(
            tag(
                "tr",
                tag("th", bar.label, scope="row"),
                tag("td", _bar(bar, bar.whole(picture)), class_="drawn"),
                tag("td", size(bar.value_kb), class_="n"),
                tag("td", marks, *_proof(bar.lines, shown_lines), class_="line"),
            )
        )
    return tag("table", tag("tbody", *rows), class_="bars")


def _bar(bar: Bar, whole: int) -> Element:
    """Return a bar as a drawing; the figures stand beside it, so that nobody needs to see it."""
    if whole <= 0:
        return tag("span")
    low = bool(bar.marks) and bar.value_kb <= bar.marks[0][1]
    drawn, left = [], 0.0
    own = bar.value_kb - sum(kb for _name, kb in bar.parts)
    parts = [(f"part{index % 2}", kb) for index, (_name, kb) in enumerate(bar.parts)]
    for kind, kb in (("low" if low else "own", own), *parts):
        width = min(100 * kb / whole, 100 - left)
        if width > 0:
            drawn.append(tag("rect", x=f"{left:.2f}", width=f"{width:.2f}", height=10, class_=kind))
            left += width
    for _name, kb in bar.marks:
        drawn.append(tag("rect", x=f"{min(100 * kb / whole, 99.4):.2f}", width="0.6", height=10, class_="mark"))
    return tag("svg", *drawn, viewBox="0 0 100 10", preserveAspectRatio="none", class_="bar", aria_hidden="true")


def _measured(remedy: Remedy) -> str:
    return f" In a replica of this kind of failure: {remedy.measured}." if remedy.measured else ""
