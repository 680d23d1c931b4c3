# SPDX-License-Identifier: MIT
"""Keep a guest's output in a file, up to a bound and for as long as the disk has space."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from rig.whole_file import write_all

FRAME = re.compile(rb'\{"n":\d{1,15},"t":[\d.]{1,30},')
"""The fields with which the agent begins each record."""

__all__ = ["HeadAndTail", "Ration", "TeeLog"]


class TeeLog:
    """A log file that is open in a `with` block and unbuffered.

    A failed write raises nothing, because the guest must never wait for rig. Nothing more is written after it.
    failed: the error of that write, such as a full disk, or None.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.failed: OSError | None = None

    def __enter__(self) -> TeeLog:
        self._file = self._path.open("wb", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append, unless an earlier write failed."""
        if self.failed is None and data:
            try:
                write_all(self._file.fileno(), data)
            except OSError as error:
                self.failed = error


class HeadAndTail:
    """Keep the first and the last bytes of a stream of any length.

    The choice depends only on the stream's content, not on how reads split it, so a replay keeps the same bytes.
    head, tail: bytes to keep of the beginning and of the end.
    left_out: bytes that were dropped.
    """

    def __init__(self, head: int, tail: int) -> None:
        self._room = head
        self._most = tail
        self._tail = b""
        self.left_out = 0

    def take(self, data: bytes) -> bytes:
        """Take the next bytes of the stream, and return those that belong to its head."""
        kept, rest = data[: self._room], data[self._room :]
        self._room -= len(kept)
        if rest:
            self._tail += rest
            # Cut at twice the size: cutting at each read would copy the whole tail each time.
            if len(self._tail) > 2 * self._most:
                self._cut()
        return kept

    def rest(self) -> bytes:
        """Return the tail of a stream that has ended, after a line with the number of bytes dropped before it."""
        if len(self._tail) > self._most:
            self._cut()
        if not self.left_out:
            return self._tail
        return f"\n[{self.left_out} bytes left out]\n".encode() + self._tail.partition(b"\n")[2]

    def _cut(self) -> None:
        self.left_out += len(self._tail) - self._most
        self._tail = self._tail[-self._most :]


class Ration:
    """Choose the records to keep. Printed lines have a bound of their own, so that they cannot displace samples.

    lines: bytes of the records of lines that programs print.
    others: bytes of all other records.
    left_out: bytes of the records that were dropped.
    """

    def __init__(self, lines: int, others: int) -> None:
        self._lines, self._others = lines, others
        self._gap, self._last = 0, b""
        self.left_out = 0

    def take(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the records to keep, and in place of each gap one `left-out` record.

        The `left-out` record counts the dropped lines and has the last one's number, so that they do not count as lost.
        records: lines of JSON without their line ends.
        """
        for record in records:
            # The agent writes a record's number, time and kind first (FRAME), so none need be parsed to be dropped.
            head = record[:160]
            if b'"ev":"line"' in head:
                self._lines -= len(record) + 1
                if self._lines < 0 and (frame := FRAME.match(head)):
                    self._gap, self._last = self._gap + 1, frame[0]
                    self.left_out += len(record) + 1
                    continue
            else:
                self._others -= len(record) + 1
                if self._others < 0 and b'"ev":"end"' not in head:
                    self.left_out += len(record) + 1
                    continue
            yield from self.rest()
            yield record

    def rest(self) -> Iterator[bytes]:
        """Yield the record `left-out` for the lines that were dropped since the last kept record, if there are any."""
        if self._gap:
            yield self._last + b'"ev":"left-out","lines":%d}' % self._gap
        self._gap = 0
