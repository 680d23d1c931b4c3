# SPDX-License-Identifier: MIT
"""With vm.oom_kill_allocating_task the process that asked is killed, though another holds more."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    asked = saw.text("oom_invoker") == saw.text("oom_victim") == "eater"
    return asked and saw.killed() == {"eater"} and saw["eaten"] < saw["large"]


CHECK = Check(
    name="oom-allocating",
    batch="oom",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "out_of_memory"),
    ),
    judge=judge,
)
