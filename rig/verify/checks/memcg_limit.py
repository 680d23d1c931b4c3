# SPDX-License-Identifier: MIT
"""A cgroup at memory.max has its own OOM: the victim is one of its processes, though a larger one is outside and
memory is free.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    victim = saw.text("oom_victim") == "eater" and saw.text("oom_constraint") == "CONSTRAINT_MEMCG"
    return victim and saw.killed() == {"eater"} and saw["outside"] > saw["limit"] and saw["free"] > saw["limit"] // 2


CHECK = Check(
    name="memcg-limit",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v2.rst"),
        Source("mm/memcontrol.c", "mem_cgroup_out_of_memory"),
    ),
    judge=judge,
)
