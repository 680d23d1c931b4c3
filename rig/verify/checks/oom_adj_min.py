# SPDX-License-Identifier: MIT
"""oom_score_adj -1000 exempts a process, though it holds most."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"small"} and saw.text("oom_victim") == "small"


CHECK = Check(
    name="oom-adj-min",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/filesystems/proc.rst"),
        Source("mm/oom_kill.c", "oom_badness", "a63d83f427fb"),
    ),
    judge=judge,
)
