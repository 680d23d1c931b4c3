# SPDX-License-Identifier: MIT
"""brk charges what it adds and gives back what it takes off."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["grown"] and saw["after"] == 0


CHECK = Check(
    name="brk",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/mmap.c", "do_brk_flags"),),
    judge=judge,
)
