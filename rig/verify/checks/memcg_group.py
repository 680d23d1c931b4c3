# SPDX-License-Identifier: MIT
"""With memory.oom.group all processes of the cgroup are killed together, and none outside."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"first", "second", "eater"}


CHECK = Check(
    name="memcg-group",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v2.rst"),
        Source("mm/oom_kill.c", "oom_kill_process", "3d8b38eb81ca"),
    ),
    judge=judge,
)
