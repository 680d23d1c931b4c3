# SPDX-License-Identifier: MIT
"""The reader: bytes in, events out, in order, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rig.klog.assembler import Assembler
from rig.klog.event import Event
from rig.klog.forms import Unpacker
from rig.klog.prefix import split_prefix
from rig.klog.scan import Scanner
from rig.klog.text import LONGEST_LINE, blocks, bounded, clean

__all__ = ["Log", "read", "read_events"]


@dataclass(frozen=True, slots=True)
class Log:
    """A log, read. events are in the order of their first lines; lines is how many the input had."""

    events: tuple[Event, ...]
    lines: int = 0

    def of_kind(self, *kinds: str) -> tuple[Event, ...]:
        """Return the events of these kinds."""
        return tuple(event for event in self.events if event.kind in kinds)


def read(chunks: Iterable[bytes]) -> Log:
    """Read a whole log: an iterable of bytes, in pieces of any size. Never raises for what the bytes hold."""
    reader = _Reader()
    events = tuple(reader.run(chunks))
    return Log(events=events, lines=reader.lines)


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a log as they are complete; memory does not grow with the log's length."""
    return _Reader().run(chunks)


class _Reader:
    def __init__(self) -> None:
        self.lines = 0
        self._assembler = Assembler()
        self._unpack = Unpacker()

    def run(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        for block in blocks(chunks):
            yield from self._block(block)
        yield from self._assembler.finish()

    def _block(self, block: bytes) -> Iterator[Event]:
        """Read a block: line by line within reports, from one event's first line to the next outside."""
        scanner = Scanner(block)
        assembler = self._assembler
        start, length = 0, len(block)
        while start < length:
            if assembler.idle:
                yield from assembler.events()
                found = scanner.next(start)
                until = found if found >= 0 else length
                skipped = block.count(b"\n", start, until)
                if skipped:
                    self.lines += skipped
                    assembler.skip(self.lines, block[start : min(until, start + 4096)])
                if found < 0:
                    self.lines += not block.endswith(b"\n")
                    return
                start = found
            end = block.find(b"\n", start)
            if end < 0:
                end = length
            self.lines += 1
            self._line(block[start : min(end, start + LONGEST_LINE)])
            start = end + 1
        yield from assembler.events()

    def _line(self, raw: bytes) -> None:
        text = raw.rstrip(b"\r").decode("utf-8", "replace")
        if not text.isprintable():
            text = clean(text)
        if text[:1] == "[" and self._unpack.plain(text):  # the commonest form by the shortest way
            prefix, text = split_prefix(text)
            self._assembler.feed(prefix, bounded(text), self.lines)
            return
        for prefix, line in self._unpack(text):
            self._assembler.feed(prefix, bounded(line), self.lines)
