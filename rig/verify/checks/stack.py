# SPDX-License-Identifier: MIT
"""The stack is charged as it grows."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["grown"] >= 3 * 1024 and saw["charged"] == saw["grown"]


CHECK = Check(
    name="stack",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "acct_stack_growth"),
    ),
    judge=judge,
)
