# SPDX-License-Identifier: MIT
"""Explanations with the lines of the log that prove them, as HTML: one file, or the middle of the page in the browser.

It imports klog and Python's own library only: see html/explanation.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from xml.etree.ElementTree import Element

from rig.klog.cited import cited_lines
from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.klog.explain.silent import SILENT_KILLERS
from rig.klog.explain.stalled import stalled_on_memory
from rig.klog.explain.storms import storms
from rig.klog.reader import KeptLine, Log
from rig.klog.redact import Redactor
from rig.report.html.elements import markup, tag
from rig.report.html.explanation import events_table, explained

__all__ = ["html_parts", "html_report", "lines_of_reports", "nothing_found", "redacted_lines"]

_MOST_LINES = 100_000  # in one page
_POLICY = "default-src 'none'; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"


def html_report(
    events: Sequence[Event], explanations: Sequence[Explanation], *, heading: str, lines: Sequence[KeptLine] = ()
) -> str:
    """Return the file: a table of all events, the explanations, the lines of their reports. It needs no network.

    lines: what lines_of_reports() or redacted_lines() returns.
    """
    style, script = _asset("base.css") + _asset("explain.css"), _asset("sort.js")
    policy = _POLICY.format(style=_digest(style), script=_digest(script))
    head = [
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", heading),
    ]
    body = [tag("h1", heading), tag("main", *html_parts(events, explanations, lines=lines))]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n{markup(head)}\n'
        f"<style>{style}</style></head>\n<body>\n{markup(body)}\n<script>{script}</script>\n</body></html>\n"
    )


def html_parts(
    events: Sequence[Event], explanations: Sequence[Explanation], *, lines: Sequence[KeptLine] = ()
) -> list[Element]:
    """Return the events, the explanations and the lines as elements."""
    by_number = {event.number: event for event in events}
    shown = frozenset(line.line for line in lines)
    parts = [events_table(events), *(tag("p", storm.text) for storm in storms(events))]
    stalled = stalled_on_memory(events)
    if stalled is not None:
        parts.append(tag("p", stalled.text))
    for explanation in explanations:
        inner = explained(explanation, by_number[explanation.number], shown)
        heading = tag("h2", f"Event {explanation.number}: {explanation.title}")
        parts.append(tag("section", heading, *inner, id=f"event-{explanation.number}"))
    if lines:
        parts.append(tag("section", tag("h2", "The log"), _log(lines), id="log"))
    return parts


def nothing_found(log: Log) -> list[Element]:
    """Return what is to be said of a log without an event."""
    if not log.looks_like_text:
        return [tag("p", "This does not look like a kernel log: it is not lines of text.", class_="summary")]
    text = f"No event in {log.lines} lines: the kernel reports no OOM, crash, stall or refusal here."
    places = [tag("li", f"{what}: ", tag("code", where)) for what, where in SILENT_KILLERS]
    return [
        tag("p", text, class_="summary"),
        tag("h3", "If a process vanished all the same, look at"),
        tag("ul", *places),
    ]


def lines_of_reports(
    kept: Sequence[KeptLine], events: Sequence[Event], explanations: Sequence[Explanation]
) -> list[KeptLine]:
    """Return the lines of the reports that are explained."""
    explained_numbers = {explanation.number for explanation in explanations}
    spans = sorted((event.line, event.last_line) for event in events if event.number in explained_numbers)
    chosen: list[KeptLine] = []
    at = 0
    for line in kept:
        while at < len(spans) and spans[at][1] < line.line:
            at += 1
        if any(first <= line.line <= last for first, last in spans[at : at + 16]):
            chosen.append(line)
    return chosen[:_MOST_LINES]


def redacted_lines(lines: Sequence[KeptLine], events: Sequence[Event], redactor: Redactor) -> list[KeptLine]:
    """Return the lines without names, paths and addresses, and without their prefixes.

    A line that no parser took a fact from may hold anything, so its text is left out.
    events: as they were read; redactor: the one that has redacted them.
    """
    known = cited_lines(events)
    return [
        KeptLine(line.line, text, text)
        for line in lines
        for text in [redactor.line(line.text) if line.line in known else "(hidden)"]
    ]


def _log(lines: Sequence[KeptLine]) -> Element:
    rows: list[Element] = []
    last = None
    for line in lines:
        if line.line == last:  # a record that holds several lines
            continue
        if last is not None and line.line != last + 1:
            rows.append(tag("span", f"  … {line.line - last - 1} lines of no report", class_="soft"))
        rows.append(tag("span", tag("b", f"{line.line:>6} "), line.raw, id=f"L{line.line}"))
        last = line.line
    return tag("pre", *rows, tabindex=0, role="region", aria_label="Lines of the log")


@cache
def _asset(name: str) -> str:
    return resources.files("rig.report.html").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
