# SPDX-License-Identifier: MIT
"""Read a log: turn its bytes into events, in order and with bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rig.klog.assembler import Assembler
from rig.klog.backwards import renumbered, turned_round
from rig.klog.crash.starts import find_start
from rig.klog.encoding import in_utf8, looks_like_text
from rig.klog.event import Event
from rig.klog.forms import Unpacker, unescaped
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from rig.klog.prefix import Prefix, is_serial, split_prefix
from rig.klog.scan import Scanner
from rig.klog.text import LONGEST_LINE, blocks, bounded, clean
from rig.klog.wrapping import WINDOW, Columns, Wrapping, ends_alike, learn, runs_backwards

__all__ = ["KeptLine", "Log", "Reader", "read", "read_events"]

_MOST_TURNED = 64 << 20  # bytes of a log with its newest line first that are held and reversed at once
_WINDOW_BYTES = 1 << 16
_MOST_KEPT = 64 << 20  # bytes of the lines that are kept, for a page that shows them
_MOST_BACK = 5000  # lines; a task table may be that long
# Lines that are recognised in the middle of an OOM report without its first line, and lines that may precede them.
_MIDDLE = re.compile(rb"Mem-Info:|oom-kill:constraint=|total_vm +rss|(?:Out of memory|out of memory): Killed process")
_PART = re.compile(
    rb"\+0x[0-9a-f]+/0x|\[ *\d+\](?:\s+-?\d+){7}|Call Trace|</?TASK>|R[A-Z0-9]{2}: [0-9a-f]|Code: [0-9a-f]|"
    rb"Hardware name: |PID: \d+ Comm: |active_anon:|active_file:|unevictable:|slab_reclaimable:|mapped:\d|free:\d|"
    rb"lowmem_reserve\[\]|Node \d+ |pages (?:RAM|reserved|hwpoisoned|in swap|HighMem)|pagecache pages|"
    rb"(?:Free|Total) swap|Swap cache stats|Tasks state|(?:memory|swap|kmem|memory\+swap): usage|"
    rb"Memory cgroup stats|total_vm|Mem-Info"
)
_REPORT = re.compile(rb"invoked oom-killer|oom-kill:constraint|[Kk]illed process|Mem-Info|total_vm|llocation failure")


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line of the input that was read as part of a report.

    raw: as it stands in the log, decoded. text: without its prefix (time, host, caller, quoting).
    """

    line: int
    raw: str
    text: str


@dataclass(frozen=True, slots=True)
class Log:
    """The events of a log.

    events: in the order of their first lines.
    lines: how many lines the input had.
    looks_like_text: False for an archive, a disk image, or a single line of megabytes.
    kept: the lines in and near reports, in order, where read() was asked to keep them.
    """

    events: tuple[Event, ...]
    lines: int = 0
    looks_like_text: bool = True
    kept: tuple[KeptLine, ...] = ()

    def of_kind(self, *kinds: str) -> tuple[Event, ...]:
        """Return the events of these kinds."""
        return tuple(event for event in self.events if event.kind in kinds)

    @property
    def ooms(self) -> tuple[OomEvent, ...]:
        """The reports of the OOM killer.

        A request that failed without a kill has a report of the same form, and SysRq m prints one: neither is an OOM.
        """
        return tuple(event for event in self.events if isinstance(event, OomEvent) and event.kind is Kind.OOM)


def read(
    chunks: Iterable[bytes], *, keep_lines: bool = False, keep: Callable[[Event], Event] = lambda event: event
) -> Log:
    """Return a whole log's events.

    chunks: the log's bytes, in pieces of any size. No content raises an error.
    keep_lines: whether the lines of the reports are kept too, at most 64 MB of them.
    keep: is called with each event when it is complete, and returns what is kept of it.
    """
    reader = Reader(_Keeper() if keep_lines else None)
    events = tuple(map(keep, reader.run(chunks)))
    kept = () if reader.keeper is None else reader.keeper.kept(reader.lines if reader.turned else None)
    return Log(events=events, lines=reader.lines, looks_like_text=reader.looks_like_text, kept=kept)


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield each event of a log when it is complete; memory use does not grow with the length of the log."""
    return Reader().run(chunks)


class _Keeper:
    """Keep the lines that are read, up to a bound."""

    def __init__(self) -> None:
        self._kept: list[KeptLine] = []
        self._left = _MOST_KEPT

    def keep(self, line: int, raw: str, text: str) -> None:
        """Keep a line; of a record that holds several lines, each is kept under the same number."""
        self._left -= len(raw) + len(text)
        if self._left > 0:
            self._kept.append(KeptLine(line, raw, text))

    def kept(self, turned_of: int | None) -> tuple[KeptLine, ...]:
        """Return the lines in the order of the input. turned_of: the number of lines of a log that was reversed."""
        if turned_of is None:
            return tuple(self._kept)
        return tuple(replace(line, line=turned_of + 1 - line.line) for line in reversed(self._kept))


class Reader:
    """Turn blocks of whole lines into events. read() and Follower are what other code calls."""

    def __init__(self, keeper: _Keeper | None = None) -> None:
        self.lines = 0
        self.looks_like_text = True
        self.turned = False
        self.keeper = keeper
        self.assembler = Assembler()
        self._unpack = Unpacker()
        self._wrapping: Wrapping | Columns | None = None
        self._backwards: bool | None = None  # None: no report has been seen yet

    def run(self, chunks: Iterable[bytes]) -> Iterator[Event]:
        source = blocks(in_utf8(chunks))
        first = True
        for block in source:
            if first:
                first = False
                self.looks_like_text = looks_like_text(block)
            if self._backwards is None:
                self._backwards = self._runs_backwards(block)
                if self._backwards:
                    self.turned = True
                    yield from self._turned_round(block, source)
                    return
            yield from self.read_block(block)
        yield from self.assembler.finish()

    def _turned_round(self, block: bytes, source: Iterator[bytes]) -> Iterator[Event]:
        """Read a log whose newest line comes first. A log larger than _MOST_TURNED is reversed piece by piece."""
        held = [block]
        size = len(block)
        events: list[Event] = []
        for piece in (*source, b""):
            held.append(piece)
            size += len(piece)
            if size >= _MOST_TURNED or not piece:
                for part in blocks([turned_round(b"".join(held))]):
                    events += self.read_block(part)
                held, size = [], 0
        events += self.assembler.finish()
        for number, event in enumerate(reversed(events), 1):
            yield replace(renumbered(event, self.lines), number=number)

    def _runs_backwards(self, block: bytes) -> bool | None:
        start = Scanner(block).next(0)
        if start < 0 or _REPORT.search(block, start) is None:
            return None
        return runs_backwards([_decoded(line) for line in _window(block, start)])

    def read_block(self, block: bytes) -> Iterator[Event]:
        """Read a block: line by line within a report; outside of reports, skip to the next line with a keyword."""
        scanner = Scanner(block)
        assembler = self.assembler
        start, length = 0, len(block)
        while start < length:
            if assembler.idle:
                yield from assembler.events()
                found = scanner.next(start)
                if found > start:
                    found = self._look_back(block, start, found)
                until = found if found >= 0 else length
                skipped = block.count(b"\n", start, until)
                if skipped:
                    self.lines += skipped
                    assembler.skip(self.lines, block[start : min(until, start + 4096)])
                if found < 0:
                    self.lines += not block.endswith(b"\n")
                    return
                start = found
                self._learn(block, start)
            end = block.find(b"\n", start)
            if end < 0:
                end = length
            self.lines += 1
            self._line(block[start : min(end, start + LONGEST_LINE)])
            start = end + 1
        yield from assembler.events()

    def _look_back(self, block: bytes, start: int, found: int) -> int:
        """Return the offset where a headless OOM report begins. found: offset of the first line with a keyword."""
        end = block.find(b"\n", found)
        if _MIDDLE.search(block, found, end if end >= 0 else len(block)) is None:
            return found
        begin = found
        for _ in range(_MOST_BACK):
            if begin <= start:
                break
            before = max(block.rfind(b"\n", start, begin - 1) + 1, start)
            if _PART.search(block, before, begin) is None:
                break
            begin = before
        if begin < found:
            self.assembler.expect_headless()
        return begin

    def _learn(self, block: bytes, start: int) -> None:
        """Learn what every line is wrapped in (quoting, numbering) from the lines at offset `start`."""
        window = _window(block, start)
        line = _decoded(window[0])
        if self._unpack.is_record(line):
            self._wrapping = None
        elif _REPORT.search(window[0]) is not None or find_start(bounded(line)) is not None:
            lines = [unescaped(_decoded(raw)) for raw in window]
            self._wrapping = learn(lines) if not is_serial(line) or ends_alike(lines) else None

    def _line(self, raw: bytes) -> None:
        text = _decoded(raw)
        if self._wrapping is not None:
            wrapped = self._wrapping(unescaped(text))
            if wrapped is None:
                if not self._wrapping.record:
                    self._feed(Prefix(), text, text)
                return
            prefix, inner = wrapped
            for part in inner.split("\n"):
                self._feed(prefix, part, text)
            return
        if text[:1] == "[" and self._unpack.plain(text):  # a fast path for the most common form
            prefix, inner = split_prefix(text)
            self._feed(prefix, inner, text)
            return
        for prefix, line in self._unpack(text):
            self._feed(prefix, line, text)

    def _feed(self, prefix: Prefix, text: str, raw: str) -> None:
        text = bounded(text)
        if self.keeper is not None:
            self.keeper.keep(self.lines, raw, text)
        self.assembler.feed(prefix, text, self.lines)


def _decoded(raw: bytes) -> str:
    text = raw.rstrip(b"\r").decode("utf-8", "replace")
    return text if text.isprintable() else clean(text)


def _window(block: bytes, start: int) -> list[bytes]:
    """Return the first lines from offset `start` on."""
    return [line[:LONGEST_LINE] for line in block[start : start + _WINDOW_BYTES].split(b"\n")[:WINDOW]]
