# SPDX-License-Identifier: MIT
"""vm.oom_kill_allocating_task is not heeded for a cgroup's OOM: the largest is killed."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return "large" in saw.killed() and saw.text("oom_invoker") == "eater" and saw.text("oom_victim") == "large"


CHECK = Check(
    name="memcg-allocating",
    batch="oom",
    rule=__doc__,
    sources=(Source("mm/oom_kill.c", "out_of_memory"),),
    judge=judge,
)
