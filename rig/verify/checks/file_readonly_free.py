# SPDX-License-Identifier: MIT
"""A private read-only mapping of a file is not charged."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["mapped"] > 0 and saw["charged"] == 0


CHECK = Check(
    name="file-readonly-free",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "accountable_mapping"),
    ),
    judge=judge,
)
