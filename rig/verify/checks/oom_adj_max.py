# SPDX-License-Identifier: MIT
"""oom_score_adj 1000 makes a small process the first to go."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"small"} and saw.text("oom_victim") == "small"


CHECK = Check(
    name="oom-adj-max",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/filesystems/proc.rst"),
        Source("mm/oom_kill.c", "oom_badness", "a63d83f427fb"),
    ),
    judge=judge,
)
