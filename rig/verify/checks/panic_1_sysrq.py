# SPDX-License-Identifier: MIT
"""vm.panic_on_oom=1 does not make SysRq f panic."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"large"} and saw["panics"] == 0


CHECK = Check(
    name="panic-1-sysrq",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "check_panic_on_oom"),
    ),
    judge=judge,
)
