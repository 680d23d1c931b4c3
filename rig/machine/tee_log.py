# SPDX-License-Identifier: MIT
"""What is kept of all that a guest says: as much as has room, in a file, for as long as the disk takes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

FRAME = re.compile(rb'\{"n":\d{1,15},"t":[\d.]{1,30},')
"""What the agent begins each record with."""

__all__ = ["HeadAndTail", "Ration", "TeeLog"]


class TeeLog:
    """Open in a `with` block; written through at once.

    failed: why the file lacks what came, where it does: a disk that is full. The guest must not wait for us, come what
    may, so nothing is raised, and nothing more is written.
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
                self._file.write(data)
            except OSError as error:
                self.failed = error


class HeadAndTail:
    """What is kept of a stream that may be of any length: its first bytes and its last.

    What a guest says decides alone what is kept, so a replay keeps the same bytes. left_out: how many were not kept.
    """

    def __init__(self, head: int, tail: int) -> None:
        self._room = head
        self._most = tail
        self._tail = b""
        self.left_out = 0

    def take(self, data: bytes) -> bytes:
        """Return what of the next bytes is kept at once."""
        kept, rest = data[: self._room], data[self._room :]
        self._room -= len(kept)
        if rest:
            self._tail += rest
            if len(self._tail) > 2 * self._most:
                self._cut()
        return kept

    def rest(self) -> bytes:
        """Return the last bytes of a stream that is over, behind a line that says how many are missing before them."""
        if len(self._tail) > self._most:
            self._cut()
        if not self.left_out:
            return self._tail
        return f"\n[{self.left_out} bytes left out]\n".encode() + self._tail.partition(b"\n")[2]

    def _cut(self) -> None:
        self.left_out += len(self._tail) - self._most
        self._tail = self._tail[-self._most :]


class Ration:
    """Which records are kept: all but the lines that programs print beyond a bound, so that no sample is lost to noise.

    left_out: bytes of the records that were not kept.
    """

    def __init__(self, lines: int, others: int) -> None:
        self._lines, self._others = lines, others
        self._gap, self._last = 0, b""
        self.left_out = 0

    def take(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """Yield those records (lines of JSON without their ends) that are kept.

        Where lines of programs are missing a record `left-out` stands for them, so that they do not count as lost.
        """
        for record in records:
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
        """Yield the record that stands for the lines left out since the last one that was kept, where there are any."""
        if self._gap:
            yield self._last + b'"ev":"left-out","lines":%d}' % self._gap
        self._gap = 0
