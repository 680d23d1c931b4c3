# SPDX-License-Identifier: MIT
"""vm.panic_on_oom=2 panics for a cgroup's OOM too."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["panics"] == 1 and "compulsory panic_on_oom" in saw.text("panic")


CHECK = Check(
    name="panic-2-memcg",
    batch="panic",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/oom_kill.c", "check_panic_on_oom"),
    ),
    judge=judge,
)
