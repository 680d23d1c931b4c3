# SPDX-License-Identifier: MIT
"""vm.panic_on_oom=1 does not panic for a cgroup's OOM."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"eater"} and saw["panics"] == 0 and saw.text("oom_constraint") == "CONSTRAINT_MEMCG"


CHECK = Check(
    name="panic-1-memcg",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "check_panic_on_oom"),
    ),
    judge=judge,
)
