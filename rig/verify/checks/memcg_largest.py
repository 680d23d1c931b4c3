# SPDX-License-Identifier: MIT
"""Within a cgroup the process with the highest badness is killed."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.text("oom_victim") == "large" and saw.text("oom_constraint") == "CONSTRAINT_MEMCG"


CHECK = Check(
    name="memcg-largest",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("mm/oom_kill.c", "select_bad_process"),
        Source("mm/memcontrol.c", "mem_cgroup_scan_tasks"),
    ),
    judge=judge,
)
