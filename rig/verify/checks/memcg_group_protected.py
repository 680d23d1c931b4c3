# SPDX-License-Identifier: MIT
"""memory.oom.group spares processes with oom_score_adj -1000."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"first", "eater"}


CHECK = Check(
    name="memcg-group-protected",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v2.rst"),
        Source("mm/oom_kill.c", "oom_kill_memcg_member", "3d8b38eb81ca"),
    ),
    judge=judge,
)
