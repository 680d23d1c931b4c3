# SPDX-License-Identifier: MIT
"""Follow an unfinished run from a second terminal, or replay a finished run's records at a chosen speed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from rig.run.progress import Progress, show_record
from rig.run.records import Record
from rig.telemetry.records import RecordReader, read_records

__all__ = ["follow", "replay"]

LOOK_EVERY = 0.1
CONSOLE = "console.log"
LARGEST_CONSOLE = 1 << 20
LONGEST_LINE = 4096
TIME = re.compile(r"\[ *(\d{1,9}\.\d{1,9})\]")  # as printk.time=1 prints it
Sleep = Callable[[float], None]


def follow(unfinished: Path, final: Path, progress: Progress, *, sleep: Sleep = time.sleep) -> bool:
    """Show a run's records and its console as they are written, until its directory gets its final name.

    unfinished: the directory while the run goes on.
    final: the directory when the run is complete.
    Return False when the run was abandoned.
    """
    progress.phase("watch")
    with ExitStack() as stack:
        console = _Tail(unfinished / CONSOLE, stack)
        for records in _growing(unfinished / "events.jsonl", lambda: unfinished.is_dir(), sleep):
            for record in records:
                show_record(record, progress)
            if last := console.last():
                progress.console(last)
    return final.is_dir()


def replay(events: Path, progress: Progress, seconds: float, *, sleep: Sleep = time.sleep) -> None:
    """Show a finished run's records within `seconds` of host time; the guest's long waits are shortened most.

    The lines of the console.log beside them are shown by the time that the kernel printed with them.
    """
    progress.phase("replay")
    items = read_records(events).items
    printed = _timed(events.with_name(CONSOLE))
    gaps = [max(0.0, now["t"] - before["t"]) ** 0.5 for before, now in pairwise(items)]
    whole = sum(gaps) or 1.0
    # zip() is not strict, because a file without records gives no item and one gap.
    for record, gap in zip(items, [0.0, *gaps], strict=False):
        sleep(seconds * gap / whole)
        show_record(record, progress)
        while printed and printed[-1][0] <= record["t"]:
            progress.console(printed.pop()[1])


def _timed(console: Path) -> list[tuple[float, str]]:
    """Return the console's lines with their time in seconds, the last line first. The file is read up to a limit."""
    try:
        with console.open("rb") as file:
            text = file.read(LARGEST_CONSOLE).decode("utf-8", errors="replace")
    except OSError:
        return []
    found = [(match, line) for line in text.split("\n") if (match := TIME.match(line))]
    return [(float(match[1]), line) for match, line in reversed(found)]


class _Tail:
    """The last whole line of a file that grows."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._file: BinaryIO | None = None
        self._rest = b""

    def last(self) -> str:
        """Return the last line that was completed since the previous call, or an empty text."""
        if self._file is None:
            try:
                self._file = self._stack.enter_context(self._path.open("rb"))
            except OSError:
                return ""
        *lines, rest = (self._rest + self._file.read(LARGEST_CONSOLE)).split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        there = [line for line in lines if line.strip()]
        return there[-1][:LONGEST_LINE].decode("utf-8", errors="replace") if there else ""


def _growing(path: Path, going_on: Callable[[], bool], sleep: Sleep) -> Iterator[list[Record]]:
    reader = RecordReader()
    while not path.exists():
        if not going_on():
            return
        sleep(LOOK_EVERY)
    # The open file stays readable when its directory is renamed.
    with path.open("rb") as file:
        while True:
            over = not going_on()
            while chunk := file.read(1 << 16):
                yield reader.feed(chunk)
            yield []
            if over:
                return
            sleep(LOOK_EVERY)
