# SPDX-License-Identifier: MIT
"""Memory from the pool of huge pages is not charged."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["mapped"] > 0 and saw["charged"] == 0


CHECK = Check(
    name="hugetlb-free",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/mmap.c", "accountable_mapping"),),
    judge=judge,
)
