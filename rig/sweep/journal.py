# SPDX-License-Identifier: MIT
"""Keep the rows of a sweep in an append-only journal, and read them back one at a time.

A row with its claims takes some 30 kB of memory, and a sweep may have tens of thousands: nothing here holds them all.
"""

from __future__ import annotations

import json
import logging
import os
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

from rig.errors import RigError
from rig.seal import is_sealed, seal, seal_is_broken
from rig.sweep.row import Row
from rig.whole_file import append_line

__all__ = ["Rows", "append_row", "read_rows"]

logger = logging.getLogger(__name__)


class Rows(Sequence[Row]):
    """The rows of a journal, sorted by point and repeat. Each is parsed anew whenever it is asked for.

    The file stays open, so that rows appended later, and the removal of the journal, change nothing here.
    unsealed: how many of the rows have no seal, so that damage of them is not noticed.
    """

    def __init__(self, path: Path, descriptor: int, places: Sequence[tuple[int, int]], unsealed: int) -> None:
        """Keep the places of the rows.

        descriptor: of the journal; it is closed with this object.
        places: offset and length of each row, in bytes.
        """
        self.unsealed = unsealed
        self._path = path
        self._descriptor = descriptor
        self._places = places
        weakref.finalize(self, os.close, descriptor)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self._row(*place) for place in self._places[index]]
        return self._row(*self._places[index])

    def __iter__(self) -> Iterator[Row]:
        return (self._row(*place) for place in self._places)

    def _row(self, offset: int, length: int) -> Row:
        row = _parse(os.pread(self._descriptor, length, offset))
        if row is None:
            raise RigError("a row changed while it was read", where=self._path, remedy="run the command again")
        return row


def append_row(path: Path, row: Row) -> None:
    """Append a row to the journal and sync it, so that it survives SIGKILL and a crash of the host."""
    append_line(path, seal(row.model_dump_json()).encode())


def read_rows(path: Path) -> Rows:
    """Return the journal's rows, sorted by point and repeat; of two rows for one run the first counts.

    A damaged line is left out and logged: the sweep does its run again. An incomplete last line, which a kill leaves
    behind, is left out silently.
    """
    places: dict[tuple[int, int], tuple[int, int]] = {}
    unsealed = 0
    offset = 0
    try:
        file = path.open("rb")
    except FileNotFoundError:
        # A journal without rows: a descriptor of it is never read.
        return Rows(path, os.open(os.devnull, os.O_RDONLY), (), 0)
    with file:
        for number, line in enumerate(file, 1):
            row = _parse(line)
            if row is not None:
                places.setdefault((row.point, row.repeat), (offset, len(line)))
                unsealed += not is_sealed(line)
            elif line.endswith(b"\n"):
                logger.warning("%s:%d is damaged and left out; `rig sweep --resume` does its run again", path, number)
            offset += len(line)
        return Rows(path, os.dup(file.fileno()), [places[key] for key in sorted(places)], unsealed)


def _parse(line: bytes) -> Row | None:
    """Return the row of a line, or None for a line that is not a row, or not what its seal says."""
    try:
        return None if seal_is_broken(line) else Row.model_validate(json.loads(line))
    except (ValueError, RecursionError):
        return None
