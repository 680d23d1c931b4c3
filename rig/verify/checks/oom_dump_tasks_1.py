# SPDX-License-Identifier: MIT
"""With vm.oom_dump_tasks=1 the report lists the tasks."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["dump"] == 1 and saw["ooms"] == 1 and saw["oom_tasks"] > 1


CHECK = Check(
    name="oom-dump-tasks-1",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "dump_header"),
    ),
    judge=judge,
)
