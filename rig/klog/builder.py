# SPDX-License-Identifier: MIT
"""Builder: the base of the classes that collect one event's lines. It keeps the first, last and unknown lines."""

from __future__ import annotations

from typing import Any

from rig.klog.event import Event, TextLine
from rig.klog.header import HeaderReader
from rig.klog.kinds import Kind
from rig.klog.prefix import Prefix
from rig.klog.trace import TraceReader

__all__ = ["MOST_UNKNOWN", "Builder"]

MOST_UNKNOWN = 1000  # lines of one event, so that a report whose end is missing does not fill memory


class Builder:
    """Collect one event's lines. Each family overrides `take` and `close`.

    corruption: why the report is considered damaged; None while it is intact.
    finished: whether the report is complete, so that an unknown line does not belong to it.
    caused_by: the number of the event that led to this one.
    """

    kind: Kind

    def __init__(self, line: int, prefix: Prefix) -> None:
        self.number = 0
        self.line = line
        self.last_line = line
        self.prefix = prefix
        self.header = HeaderReader()
        self.trace = TraceReader()
        self.unknown: list[TextLine] = []
        self.corruption: str | None = None
        self.finished = False
        self.caused_by: int | None = None
        self.shadow: Builder | None = None  # an earlier, unfinished report that reads the lines of this one too

    def take(self, text: str, line: int) -> bool:
        """Read one line. Return whether it belongs to the event."""
        raise NotImplementedError

    def close(self) -> Event:
        """Return the event; to be called once."""
        raise NotImplementedError

    def leave_unknown(self, text: str, line: int) -> None:
        """Keep a line within the report that no parser recognised."""
        if len(self.unknown) < MOST_UNKNOWN and text and not text.isspace():
            self.unknown.append(TextLine(line, text))

    def corrupt(self, why: str) -> None:
        """Mark the report as damaged. why: the reason; the first one is kept."""
        if self.corruption is None:
            self.corruption = why

    def base(self) -> dict[str, Any]:
        """Return the fields that every Event has."""
        return {
            "number": self.number,
            "time": self.prefix.time,
            "wall": self.prefix.wall,
            "host": self.prefix.host,
            "caller": self.prefix.caller,
            "line": self.line,
            "last_line": self.last_line,
            "corrupted": self.corruption is not None,
            "corruption": self.corruption,
            "caused_by": self.caused_by,
            "cpu": self.header.cpu,
            "task": self.header.task,
            "kernel": self.header.kernel,
            "taint": self.header.taint,
            "hardware": self.header.hardware,
            "trace": self.trace.close(),
            "unknown": tuple(self.unknown),
        }
