# SPDX-License-Identifier: MIT
"""Read the agent's JSON Lines. The guest is not trusted: lines are bounded, and invalid lines are counted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rig.run.records import Record, Records, parse_record

__all__ = ["LONGEST_LINE", "RecordReader", "read_records"]

LONGEST_LINE = 64 << 10
"""Bytes of the longest valid record (docs/reference/agent-protocol.md)."""
LINE_BYTES = 4096
"""What the agent keeps of a line that a program prints (guest/agent/agent.h)."""
MOST_PROBLEMS = 100
SHOWN = 120


class RecordReader:
    """Parses a byte stream into records.

    Call `feed` with chunks of any size. `result` returns everything that was collected so far.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False
        self._items: list[Record] = []
        self._problems: list[str] = []
        self._bad = 0
        self._next = 0
        self._gaps = 0
        self._left_out = 0
        self._cut_lines = 0
        self._dropped = 0

    def feed(self, chunk: bytes) -> list[Record]:
        """Return the records that `chunk` completes."""
        lines = (self._rest + chunk).split(b"\n")
        self._rest = lines.pop()
        records: list[Record] = []
        for line in lines:
            if self._skipping:
                self._skipping = False
            elif (record := self._record(line)) is not None:
                records.append(record)
        if len(self._rest) > LONGEST_LINE:
            if not self._skipping:
                self._problem("a line longer than 64 KiB", self._rest)
            self._rest, self._skipping = b"", True
        self._items.extend(records)
        return records

    def result(self) -> Records:
        return Records(
            items=tuple(self._items),
            lost=max(self._gaps, self._dropped),
            left_out=self._left_out,
            cut_lines=self._cut_lines,
            bad_lines=self._bad,
            problems=tuple(self._problems),
            cut=bool(self._rest) or self._skipping,
        )

    def _record(self, line: bytes) -> Record | None:
        if not line.strip():
            return None
        if len(line) > LONGEST_LINE:
            return self._problem("a line longer than 64 KiB", line)
        try:
            record = parse_record(line)
        except ValueError as error:
            return self._problem(str(error), line)
        return self._count(record, line)

    def _count(self, record: Record, line: bytes) -> Record | None:
        number = record["n"]
        if number < self._next:
            return self._problem(f"n={number} after n={self._next - 1}", line)
        gap, self._next = number - self._next, number + 1
        if record["ev"] == "left-out":
            # rig/machine/tee_log.py writes this record in place of program output beyond the size limit.
            lines = record.get("lines")
            if not isinstance(lines, int) or not 0 < lines <= gap + 1:
                return self._problem("more is left out than is missing", line)
            self._left_out += lines
            self._gaps += gap + 1 - lines
            return None
        self._gaps += gap
        self._cut_lines += len(line) > LINE_BYTES and _fills(record)
        dropped = record.get("dropped")
        if isinstance(dropped, int) and not isinstance(dropped, bool):
            self._dropped = max(self._dropped, dropped)  # the agent reports a running total
        return record

    def _problem(self, what: str, line: bytes) -> Record | None:
        """Record why a line is invalid, and return None in place of a record."""
        self._bad += 1
        if len(self._problems) < MOST_PROBLEMS:
            self._problems.append(f"{what}: {line[:SHOWN].decode('utf-8', errors='replace')!r}")
        return None


def _fills(record: Record) -> bool:
    """Return whether a record has as much of a program's line as the agent keeps.

    With `open` the rest of the line is in the next record. The agent writes U+FFFD for each byte that is not UTF-8.
    """
    text = record.get("text")
    if record["ev"] != "line" or record.get("open") is True or not isinstance(text, str):
        return False
    return len(text.encode(errors="replace")) - 2 * text.count("\ufffd") >= LINE_BYTES


def read_records(source: bytes | Path | Iterable[bytes]) -> Records:
    """Parse events.jsonl, given as bytes, as a path, or as chunks of bytes."""
    reader = RecordReader()
    if isinstance(source, bytes):
        reader.feed(source)
    elif isinstance(source, Path):
        with source.open("rb") as file:
            while chunk := file.read(1 << 20):
                reader.feed(chunk)
    else:
        for chunk in source:
            reader.feed(chunk)
    return reader.result()
