# SPDX-License-Identifier: MIT
"""Keep what a build prints in a file: its beginning and its end, and in between how much was left out.

A package's build can print without an end, and the log stays in the cache until the next build.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rig.whole_file import write_all

__all__ = ["HEAD", "LONGEST_SHOWN", "TAIL", "BuildLog", "read_lines"]

HEAD = 16 << 20
"""Bytes that are kept of the beginning."""
TAIL = 16 << 20
"""Bytes that are kept of the end, at least; twice that while a build goes on."""
LONGEST_LINE = 64 << 10
LONGEST_SHOWN = 1000
"""Characters of a line of the log in an error."""


class BuildLog:
    """A log that is appended to in a `with` block; the bounds are of what one block appends.

    left_out: bytes that were dropped.
    """

    def __init__(self, path: Path, *, head: int | None = None, tail: int | None = None) -> None:
        """Name the log. head, tail: HEAD and TAIL where they are None."""
        self._path = path
        self._room, self._tail = HEAD if head is None else head, TAIL if tail is None else tail
        self.left_out = 0
        self._note = b""

    def __enter__(self) -> BuildLog:
        # Unbuffered: a message about a failure reads the log while it is open, and a kill loses nothing.
        self._file = self._path.open("a+b", buffering=0)
        self._size = self._end_of_head = os.fstat(self._file.fileno()).st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: bytes) -> None:
        """Append a line, and cut the middle of the log where it has grown beyond its bound."""
        write_all(self._file.fileno(), line)
        self._size += len(line)
        if self._room > 0:
            self._room -= len(line)
            self._end_of_head = self._size
        # Cut at twice the size: cutting at each line would copy the whole end each time.
        elif self._size > self._end_of_head + len(self._note) + 2 * self._tail:
            self._cut()

    def _cut(self) -> None:
        end = os.pread(self._file.fileno(), self._tail, self._size - self._tail)
        kept = end.partition(b"\n")[2] or end
        self.left_out += self._size - self._end_of_head - len(self._note) - len(kept)
        self._note = f"[{self.left_out} bytes left out]\n".encode()
        self._file.truncate(self._end_of_head)
        write_all(self._file.fileno(), self._note + kept)
        self._size = self._end_of_head + len(self._note) + len(kept)


def read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream. A longer line than LONGEST_LINE comes in parts."""
    return iter(lambda: stream.readline(LONGEST_LINE), b"")
