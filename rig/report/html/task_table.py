# SPDX-License-Identifier: MIT
"""The task table of an OOM report as HTML: every row, with the sum of its points; a script of the page sorts it."""

from __future__ import annotations

from collections.abc import Collection
from xml.etree.ElementTree import Element

from rig.klog.explain.victim import sum_of_points
from rig.klog.explain.words import size
from rig.klog.oom.badness import page_table_pages
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import TaskRow
from rig.report.html.elements import tag

__all__ = ["task_table"]

_COLUMNS = ("task", "pid", "points", "in memory", "in swap", "page tables", "adj", "how the points add up", "line")


def task_table(event: OomEvent, shown_lines: Collection[int]) -> Element:
    """Return the table, most points first.

    `data-sort` of a cell is the number that the page's script sorts by.
    """
    killed = {kill.pid for kill in event.kills}
    rows = sorted(event.tasks, key=lambda row: event.badness(row) or 0, reverse=True)
    heads = [tag("th", name, scope="col", class_="n" if 0 < at < 7 else None) for at, name in enumerate(_COLUMNS)]
    body = [_row(event, row, row.pid in killed, row.line in shown_lines) for row in rows]
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", *heads)), tag("tbody", *body), class_="sortable"),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label="All tasks",
    )


def _row(event: OomEvent, row: TaskRow, killed: bool, shown: bool) -> Element:
    kb = event.page_kb
    points = event.badness(row)
    tables = page_table_pages(row, kb)
    numbers = (
        (str(row.pid), row.pid),
        ("exempt or unknown" if points is None else str(points), points or 0),
        (size(row.rss * kb), row.rss),
        ("–" if row.swapents is None else size(row.swapents * kb), row.swapents or 0),
        (size(tables * kb), tables),
        ("–" if row.oom_score_adj is None else str(row.oom_score_adj), row.oom_score_adj or 0),
    )
    return tag(
        "tr",
        tag("th", row.name or "(no name)", tag("span", " ← killed", class_="bad") if killed else None, scope="row"),
        *(tag("td", text, class_="n", data_sort=number) for text, number in numbers),
        tag("td", sum_of_points(event, row)),
        tag("td", tag("a", str(row.line), href=f"#L{row.line}") if shown else str(row.line), class_="n"),
    )
