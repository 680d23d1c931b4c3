# SPDX-License-Identifier: MIT
"""What the page asks of Python: a log in, its explanation as HTML and JSON out. Pyodide runs this in the browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.klog import read
from rig.klog.document import document
from rig.klog.explain import choose, explain
from rig.klog.redact import Redactor
from rig.report.explain_html import html_parts, lines_of_reports, nothing_found, redacted_lines
from rig.report.html.elements import markup

__all__ = ["Answer", "answer"]

_CHUNK = 1 << 18


@dataclass(frozen=True)
class Answer:
    """An explained log.

    html: the elements for the page. json: what `rig explain --json` prints. summary: one sentence for a screen reader.
    """

    html: str
    json: str
    summary: str


def answer(path: str, *, redact: bool = False, everything: bool = False) -> Answer:
    """Explain the log in a file.

    redact: hide names, paths and addresses. everything: explain every event in the HTML, not only the gravest.
    """
    log = read(_chunks(Path(path)), keep_lines=True)
    redactor = Redactor()
    events = tuple(map(redactor, log.events)) if redact else log.events
    explanations = [explain(event) for event in events]
    text = document(log.lines, events, explanations)
    if not events:
        return Answer(markup(nothing_found(log)), text, f"No event in {log.lines} lines.")
    chosen = {event.number for event in choose(events, everything=everything)}
    shown = [explanation for explanation in explanations if explanation.number in chosen]
    lines = lines_of_reports(log.kept, events, shown)
    if redact:
        lines = redacted_lines(lines, log.events, redactor)
    first = shown[0]
    summary = first.summary[0].text if first.summary else first.title
    found = f"{len(events)} event{'s' if len(events) > 1 else ''} in {log.lines} lines. {summary}"
    return Answer(markup(html_parts(events, shown, lines=lines)), text, found)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
