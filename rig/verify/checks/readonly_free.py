# SPDX-License-Identifier: MIT
"""A private mapping that cannot be written to is not charged."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["mapped"] > 0 and saw["charged"] == 0


CHECK = Check(
    name="readonly-free",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "accountable_mapping"),
    ),
    judge=judge,
)
