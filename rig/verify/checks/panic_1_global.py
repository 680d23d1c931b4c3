# SPDX-License-Identifier: MIT
"""vm.panic_on_oom=1 panics when the whole system is out of memory."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["panics"] == 1 and "system-wide panic_on_oom" in saw.text("panic")


CHECK = Check(
    name="panic-1-global",
    batch="panic",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "check_panic_on_oom"),
    ),
    judge=judge,
)
