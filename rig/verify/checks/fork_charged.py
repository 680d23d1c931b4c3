# SPDX-License-Identifier: MIT
"""fork charges the child for each mapping of the parent that is charged (VM_ACCOUNT), touched or not."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["accounted"] > saw["mapped"] and saw["charged"] == saw["accounted"] and saw["errno"] == 0


CHECK = Check(
    name="fork-charged",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("kernel/fork.c", "dup_mmap"),
    ),
    judge=judge,
)
