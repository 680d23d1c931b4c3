# SPDX-License-Identifier: MIT
"""The agent's records as they were collected: in order, with the number of those that were lost.

The guest is not trusted. A line becomes a record only if each field has its type of docs/reference/agent-protocol.md,
so that whoever reads a record need not ask.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["MOST_PAGES", "PAGE_STATES", "Record", "Records", "parse_record"]

Record = Mapping[str, Any]
"""One record of docs/reference/agent-protocol.md: at least `n` (int), `t` (guest seconds, float) and `ev` (str)."""

PAGE_STATES = ("none", "zero", "shared", "merged", "private", "kept", "file", "swap")
"""The states of a page in a `pagemap` record (page_state(), guest/agent/pagemap.c)."""
MOST_PAGES = 1 << 22
"""16 GiB of 4 KiB pages: a guest that reports more in a page map is not believed."""

TYPES: dict[str, tuple[type, ...]] = {
    "cgroup": (str, dict, type(None)), "code": (int, type(None)), "comm": (str,), "fds": (list,), "i": (int,),
    "key": (str,),
    "kernel": (str,), "label": (str, type(None)), "meminfo": (dict, type(None)), "name": (str,), "path": (str,),
    "pfns": (list,), "pid": (int,), "procs": (list,), "program": (str,), "psi": (dict, type(None)), "root": (str,),
    "runs": (list,), "signal": (str, type(None)), "step": (int,), "stream": (str,), "text": (str,), "verb": (str,),
    "vmstat": (dict, type(None)),
}  # fmt: skip
"""Name of a field -> its types. Each has the same types in all records that have it."""
LARGEST = 1 << 64
SUSPECT = re.compile(rb"[0-9]{20}|[0-9][eE]\+?[0-9]{2}")
"""What a line with a number above LARGEST has in it, and hardly any other line."""


def parse_record(line: bytes) -> Record:
    """Parse one line of the agent. Raises ValueError, with the reason, for one that is not a record."""
    text = line.decode("utf-8", errors="replace")
    # Functions that look at each number take twice the time, and a page map has thousands of numbers.
    hooks: dict[str, Any] = {"parse_int": _integer, "parse_float": _float} if SUSPECT.search(line) else {}
    try:
        record = json.loads(text, parse_constant=_refuse, **hooks)
    except (ValueError, RecursionError):
        raise ValueError("not JSON, or a number is out of range") from None
    if not isinstance(record, dict) or not _has_the_frame(record):
        raise ValueError("not a record: n, t or ev is missing or of the wrong type")
    for name, value in record.items():
        if name in TYPES and (not isinstance(value, TYPES[name]) or isinstance(value, bool)):
            raise ValueError(f"not a record: {name} is of the wrong type")
    return record


def _has_the_frame(record: dict[str, Any]) -> bool:
    n, t, ev = record.get("n"), record.get("t"), record.get("ev")
    return (
        isinstance(n, int)
        and not isinstance(n, bool)
        and 0 <= n < 1 << 53
        and isinstance(t, int | float)
        and not isinstance(t, bool)
        and 0 <= t < 1e12
        and isinstance(ev, str)
    )


def _integer(text: str) -> int:
    if len(text) > 21 or abs(int(text)) > LARGEST:
        raise ValueError(text[:20])
    return int(text)


def _float(text: str) -> float:
    if not abs(float(text)) <= LARGEST:
        raise ValueError(text[:20])
    return float(text)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


@dataclass(frozen=True)
class Records:
    """The agent's records of one run.

    lost: records that the agent made and that did not arrive (its own count or the gaps in `n`, whichever is larger).
    left_out: lines of program output beyond the size limit.
    cut_lines: lines of program output that fill a record (LINE_BYTES); what they had beyond that is not kept.
    problems: why lines are invalid, for at most the first hundred of them.
    bad_lines: number of all invalid lines.
    cut: the last line has no newline, as when the guest was stopped while it wrote.
    """

    items: tuple[Record, ...] = ()
    lost: int = 0
    left_out: int = 0
    cut_lines: int = 0
    bad_lines: int = 0
    problems: tuple[str, ...] = ()
    cut: bool = False

    def of(self, ev: str) -> tuple[Record, ...]:
        """Return the records of one kind, in order."""
        return tuple(record for record in self.items if record["ev"] == ev)

    def first(self, ev: str) -> Record | None:
        return next((record for record in self.items if record["ev"] == ev), None)

    @property
    def complete(self) -> bool:
        """Return whether no record is known to be missing."""
        return self.lost == 0 and self.bad_lines == 0
