# SPDX-License-Identifier: MIT
"""memory.events counts each OOM and each kill of the group."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["oom"] >= 1 and saw["oom_kill"] == len(saw.killed()) == 1 and saw["max"] >= 1


CHECK = Check(
    name="memcg-events",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v2.rst"),
        Source("mm/memcontrol.c", "mem_cgroup_out_of_memory"),
    ),
    judge=judge,
)
