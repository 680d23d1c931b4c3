# SPDX-License-Identifier: MIT
"""The kernel panics when memory is out and no process may be killed."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["panics"] == 1 and "deadlocked on memory" in saw.text("panic")


CHECK = Check(
    name="nobody-killable",
    batch="panic",
    rule=__doc__,
    sources=(Source("mm/oom_kill.c", "out_of_memory"),),
    judge=judge,
)
