# SPDX-License-Identifier: MIT
"""In mode 2 fork fails with ENOMEM when the child's charge is above the limit, where mode 0 grants it."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["committed"] + 2 * saw["held"] > saw["limit"] and saw["errno"] == ENOMEM and saw["errno_mode0"] == 0


CHECK = Check(
    name="fork-refused",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("kernel/fork.c", "dup_mmap"),
    ),
    judge=judge,
)
