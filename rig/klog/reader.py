"""The reader: lines in, events out, in order, with bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rig.klog.builder import Builder
from rig.klog.model import Event
from rig.klog.oom.kill import read_kill, read_reaped
from rig.klog.oom.report import OomBuilder
from rig.klog.panic import PanicBuilder, is_oom_reason, panic_reason
from rig.klog.prefix import Prefix, split_prefix
from rig.klog.text import LONGEST_LINE, blocks, clean

__all__ = ["Log", "read", "read_events"]

_LINGER = 2000  # lines after its end within which a report's reaper and further kills are still looked for
_MOST_OPEN = 16


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
    assembler = _Assembler()
    events = tuple(assembler.run(chunks))
    return Log(events=events, lines=assembler.lines)


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events of a log as they are complete; memory does not grow with the log's length."""
    return _Assembler().run(chunks)


class _Assembler:
    def __init__(self) -> None:
        self.lines = 0
        self._count = 0
        self._current: dict[str | None, Builder] = {}
        self._waiting: list[Builder] = []  # in order; those still open among them
        self._closed: dict[int, Event] = {}

    def run(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        for block in blocks(chunks):
            for raw in block.split(b"\n")[: None if not block.endswith(b"\n") else -1]:
                self.lines += 1
                self._line(raw)
                if self._waiting:
                    yield from self._drain()
        yield from self._drain(everything=True)

    def _line(self, raw: bytes) -> None:
        text = clean(raw[:LONGEST_LINE].decode("utf-8", "replace"))
        prefix, text = split_prefix(text)
        if "#012" in text:
            for part in text.split("#012"):
                self._feed(prefix, part)
        else:
            self._feed(prefix, text)

    def _feed(self, prefix: Prefix, text: str) -> None:
        key = prefix.caller
        current = self._current.get(key)
        started = self._start(prefix, text, current)
        if started is not None:
            started.take(text, self.lines)
            return
        if current is None:
            self._stray(text)
        elif not current.take(text, self.lines):
            if current.finished:
                self._stray(text)
            else:
                current.leave_unknown(text, self.lines)

    def _start(self, prefix: Prefix, text: str, current: Builder | None) -> Builder | None:
        builder: Builder
        if "invoked oom-killer" in text:
            builder = OomBuilder(self.lines, prefix)
        elif panic_reason(text) is not None:
            builder = PanicBuilder(self.lines, prefix)
            builder.caused_by = self._cause(panic_reason(text) or "")
        elif self._is_stray_kill(text, current):
            builder = OomBuilder(self.lines, prefix)
        else:
            return None
        self._open(prefix.caller, builder)
        return builder

    def _is_stray_kill(self, text: str, current: Builder | None) -> bool:
        """A kill whose report is not there: dump_header() is rate-limited, the kill's line is not."""
        if "illed process" not in text or (isinstance(current, OomBuilder) and not current.finished):
            return False
        kill = read_kill(text, self.lines)
        return kill is not None and not (isinstance(current, OomBuilder) and current.group is not None)

    def _stray(self, text: str) -> None:
        """A line outside every report: the reaper's words belong to an earlier one."""
        if not text.startswith("oom_reaper:"):
            return
        reaped = read_reaped(text, self.lines)
        if reaped is None:
            return
        for builder in reversed(self._waiting):
            if isinstance(builder, OomBuilder) and builder.killed(reaped.pid):
                builder.take(text, self.lines)
                return

    def _open(self, key: str | None, builder: Builder) -> None:
        self._count += 1
        builder.number = self._count
        previous = self._current.get(key)
        if previous is not None:
            previous.finished = True
        self._current[key] = builder
        self._waiting.append(builder)

    def _cause(self, reason: str) -> int | None:
        if is_oom_reason(reason):
            for builder in reversed(self._waiting):
                if isinstance(builder, OomBuilder):
                    return builder.number
        return None

    def _drain(self, *, everything: bool = False) -> Iterator[Event]:
        while self._waiting:
            first = self._waiting[0]
            old = first.finished and self.lines - first.last_line > _LINGER
            stale = self.lines - first.last_line > 10 * _LINGER
            if not (everything or old or stale or len(self._waiting) > _MOST_OPEN):
                return
            self._waiting.pop(0)
            for key in [key for key, builder in self._current.items() if builder is first]:
                del self._current[key]
            yield first.close()
