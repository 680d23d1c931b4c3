"""The reader: bytes in, events out, in order, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rig.klog.assembler import Assembler
from rig.klog.model import Event
from rig.klog.prefix import split_prefix
from rig.klog.text import LONGEST_LINE, blocks, clean

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

    def run(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        for block in blocks(chunks):
            for raw in block.split(b"\n")[: None if not block.endswith(b"\n") else -1]:
                self.lines += 1
                self._line(raw)
            yield from self._assembler.events()
        yield from self._assembler.finish()

    def _line(self, raw: bytes) -> None:
        text = clean(raw[:LONGEST_LINE].decode("utf-8", "replace"))
        prefix, text = split_prefix(text)
        if "#012" in text:
            for part in text.split("#012"):
                self._assembler.feed(prefix, part, self.lines)
        else:
            self._assembler.feed(prefix, text, self.lines)
