# SPDX-License-Identifier: MIT
"""munmap gives the charge of what it unmaps back, also out of the middle of a mapping."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["mapped"] and saw["left"] == saw["mapped"] - saw["unmapped"]


CHECK = Check(
    name="munmap",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "__vm_munmap"),
    ),
    judge=judge,
)
