# SPDX-License-Identifier: MIT
"""What every reader of one event has in common: where it began, where it ended, what it could not read."""

from __future__ import annotations

from typing import Any

from rig.klog.event import Event, TextLine
from rig.klog.header import HeaderReader
from rig.klog.kinds import Kind
from rig.klog.prefix import Prefix
from rig.klog.trace import TraceReader

__all__ = ["MOST_UNKNOWN", "Builder"]

MOST_UNKNOWN = 1000  # of one event: a report that never ends must not hold a gigabyte of rubbish


class Builder:
    """Collects one event's lines. A family overrides `take` and `close`.

    finished: nothing but stray follow-ups is expected any more, so lines that it does not know are not its
    own.
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
        self.shadow: Builder | None = None  # a report that is read on within this one

    def take(self, text: str, line: int) -> bool:
        """Read one line. Returns whether it belongs to the event."""
        raise NotImplementedError

    def close(self) -> Event:
        """Return the event. Called once."""
        raise NotImplementedError

    def leave_unknown(self, text: str, line: int) -> None:
        """Keep a line inside the report that nobody understood."""
        if len(self.unknown) < MOST_UNKNOWN and text and not text.isspace():
            self.unknown.append(TextLine(line, text))

    def corrupt(self, why: str) -> None:
        """Mark the report as cut or interleaved; the first reason is kept."""
        if self.corruption is None:
            self.corruption = why

    def base(self) -> dict[str, Any]:
        """Return the fields that every Event has."""
        return {
            "number": self.number,
            "time": self.prefix.time,
            "wall": self.prefix.wall,
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
