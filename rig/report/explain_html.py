# SPDX-License-Identifier: MIT
"""Explanations as one HTML file: no script, no network, the log's own text escaped."""

from __future__ import annotations

from collections.abc import Sequence

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.report.html.environment import environment
from rig.sanitize import plain

__all__ = ["html_report"]


def html_report(events: Sequence[Event], explanations: Sequence[Explanation], *, heading: str) -> str:
    """Return the page: a table of all events, then the explanations."""
    by_number = {event.number: event for event in events}
    return (
        environment()
        .get_template("explain.html.j2")
        .render(
            heading=plain(heading),
            events=events,
            explained=[(explanation, by_number[explanation.number]) for explanation in explanations],
            shown_lines=frozenset(),
        )
    )
