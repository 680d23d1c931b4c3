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
MEASURED: dict[str, dict[str, MeasuredRemedy]] = {
    "cgroup-memory": {
        "memory.max": MeasuredRemedy("prevented", "31 % more memory.max (42M) prevented it", 3, 3),
        "memory.swap.max": MeasuredRemedy("prevented", "service memory.swap.max=10M (zram) prevented it", 3, 3),
        "memory.high": MeasuredRemedy("later", "service memory.high=29M delayed it by 3 s", 3, 3),
        "memory.oom.group": MeasuredRemedy(
            "worse", "service memory.oom.group=1 made it worse: 4 were killed: child, parent, child, hog", 3, 3
        ),
    },
}
