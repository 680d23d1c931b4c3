# SPDX-License-Identifier: MIT
"""What each remedy did in replicas of a kind of failure. Written by `make remedies` from runs of `rig cure`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MEASURED", "MeasuredRemedy"]


@dataclass(frozen=True, slots=True)
class MeasuredRemedy:
    """The best that a remedy did.

    outcome: a class of rig/cure/outcome.py.
    text: what was set, and what came of it.
    agree, of: timings with that outcome, and timings tried.
    """

    outcome: str
    text: str
    agree: int
    of: int


# Kind of failure -> name of the remedy -> what it did.
MEASURED: dict[str, dict[str, MeasuredRemedy]] = {}
