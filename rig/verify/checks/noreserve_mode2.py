# SPDX-License-Identifier: MIT
"""In mode 2 memory mapped with MAP_NORESERVE is charged all the same: the flag is not heeded."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["mapped"]


CHECK = Check(
    name="noreserve-mode2",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "do_mmap"),
    ),
    judge=judge,
)
