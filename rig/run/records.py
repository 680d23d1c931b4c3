# SPDX-License-Identifier: MIT
"""The agent's records as they were collected: in order, with the number of those that were lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Record", "Records"]

Record = Mapping[str, Any]
"""One record of docs/reference/agent-protocol.md: at least `n` (int), `t` (guest seconds, float) and `ev` (str)."""


@dataclass(frozen=True)
class Records:
    """The agent's records of one run.

    lost: records that the agent made and that did not arrive (its own count or the gaps in `n`, whichever is larger).
    left_out: lines of program output beyond the size limit.
    problems: why lines are invalid, for at most the first hundred of them.
    bad_lines: number of all invalid lines.
    cut: the last line has no newline, as when the guest was stopped while it wrote.
    """

    items: tuple[Record, ...] = ()
    lost: int = 0
    left_out: int = 0
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
