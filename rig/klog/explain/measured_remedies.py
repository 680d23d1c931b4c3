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
    "processes": {
        "smaller-processes": MeasuredRemedy("prevented", "hog=15M prevented it", 3, 3),
        "more-memory": MeasuredRemedy("prevented", "19 % more memory (152M) prevented it", 3, 3),
        "zram": MeasuredRemedy("prevented", "12 % compressed swap (16M) prevented it", 3, 3),
        "swap": MeasuredRemedy("prevented", "12 % swap (16M) prevented it", 3, 3),
        "overcommit-2": MeasuredRemedy(
            "refused earlier", "with vm.overcommit_memory=2 ratio=80 malloc of hog was refused instead", 3, 3
        ),
        "oom-score": MeasuredRemedy("another died", "with hog oom_score_adj=-250 child died instead", 3, 3),
        "kill-allocating-task": MeasuredRemedy(
            "another died", "with vm.oom_kill_allocating_task=1 child died instead", 3, 3
        ),
        "no-huge-pages": MeasuredRemedy("no difference", "transparent_hugepage/enabled=never made no difference", 3, 3),
        "multi-gen-lru": MeasuredRemedy("no difference", "lru_gen/min_ttl_ms=1000 made no difference", 3, 3),
        "watermarks": MeasuredRemedy("no difference", "vm.watermark_scale_factor=1000 made no difference", 3, 3),
        "panic-on-oom": MeasuredRemedy("worse", "vm.panic_on_oom=1 made it worse: the kernel panicked", 3, 3),
        "user-space-killer": MeasuredRemedy("worse", "earlyoom -m 10 made it worse: -1 s", 3, 3),
    },
    "refused": {
        "overcommit-0": MeasuredRemedy("prevented", "vm.overcommit_memory=0 prevented it", 3, 3),
        "overcommit-ratio": MeasuredRemedy("prevented", "vm.overcommit_ratio=60 prevented it", 3, 3),
        "swap-for-commitments": MeasuredRemedy("prevented", "14 % swap (18M) prevented it", 3, 3),
    },
}
