# SPDX-License-Identifier: MIT
"""fork does not charge shared memory again."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["accounted"] < saw["mapped"] and saw["charged"] == saw["accounted"]


CHECK = Check(
    name="fork-shared",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("kernel/fork.c", "dup_mmap"),
    ),
    judge=judge,
)
