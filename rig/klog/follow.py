# SPDX-License-Identifier: MIT
"""Read a log while it is written: each event as soon as its report is over. Memory does not grow with the log."""

from __future__ import annotations

from collections.abc import Iterator

from rig.klog.event import Event
from rig.klog.reader import Reader
from rig.klog.text import LONGEST_LINE

__all__ = ["QUIET", "Follower"]

# A report has no last line of its own: the oom_reaper's may come late. So it is over when another begins, or when the
# log has been silent for this long, in seconds. The kernel prints a report's lines without a pause.
QUIET = 1.0


class Follower:
    """Collect the lines of a log that is still written.

    Call feed() with what comes, and flush() when nothing has come for QUIET seconds while `waiting` is true.
    """

    def __init__(self) -> None:
        self._reader = Reader()
        self._rest = b""

    @property
    def waiting(self) -> bool:
        """Whether a report has begun, or ended, whose event has not been returned."""
        return self._reader.assembler.waiting

    @property
    def lines(self) -> int:
        """Return how many lines have come."""
        return self._reader.lines

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that are complete. data: bytes in UTF-8, in pieces of any size."""
        whole, newline, rest = data.rpartition(b"\n")
        if not newline:
            # A line is kept up to the length that is read of it, and the rest of it is dropped.
            self._rest = (self._rest + data)[: LONGEST_LINE + 1]
            return
        block, self._rest = self._rest + whole + newline, rest[: LONGEST_LINE + 1]
        yield from self._reader.read_block(block)

    def flush(self) -> Iterator[Event]:
        """Yield what there is of each report that has begun."""
        yield from self._reader.assembler.flush()

    def finish(self) -> Iterator[Event]:
        """Yield what is left at the log's end, with a last line that has no newline."""
        if self._rest:
            yield from self._reader.read_block(self._rest)
            self._rest = b""
        yield from self.flush()
