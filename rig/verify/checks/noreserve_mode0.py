# SPDX-License-Identifier: MIT
"""In mode 0 memory mapped with MAP_NORESERVE is not charged."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["mapped"] > 0 and saw["charged"] == 0


CHECK = Check(
    name="noreserve-mode0",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "do_mmap"),
    ),
    judge=judge,
)
