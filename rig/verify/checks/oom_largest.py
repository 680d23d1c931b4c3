# SPDX-License-Identifier: MIT
"""The OOM killer kills the process with the highest badness: the one that holds most."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return (
        saw.killed() == {"large"}
        and saw.text("oom_victim") == "large"
        and saw.text("oom_constraint") == "CONSTRAINT_NONE"
    )


CHECK = Check(
    name="oom-largest",
    batch="oom",
    rule=__doc__,
    sources=(Source("mm/oom_kill.c", "oom_badness", "a63d83f427fb"),),
    judge=judge,
)
