# SPDX-License-Identifier: MIT
"""SysRq f kills the process with the highest badness though memory is free; the report's order is -1."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw.killed() == {"large"} and saw["oom_order"] == -1 and saw["free"] > 24 * 1024


CHECK = Check(
    name="sysrq-f",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysrq.rst"),
        Source("drivers/tty/sysrq.c", "moom_callback"),
    ),
    judge=judge,
)
