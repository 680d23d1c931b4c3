# SPDX-License-Identifier: MIT
"""What the agent said, as far as it was heard: the records in order, and how many were lost."""

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

    lost: records that the agent made and nobody has (its own count, or gaps in `n`, whichever is larger);
    left_out: lines that programs printed beyond what is kept of them;
    problems: lines that were not records, at most a hundred of them, and bad_lines how many there were;
    cut: the last line had no end, as when the guest was stopped in the middle of it.
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
        """Whether nothing is known to be missing."""
        return self.lost == 0 and self.bad_lines == 0
