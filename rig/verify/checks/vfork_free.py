# SPDX-License-Identifier: MIT
"""vfork (CLONE_VM and CLONE_VFORK) charges nothing: there is one address space."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["mapped"] > 0 and saw["charged"] == 0


CHECK = Check(
    name="vfork-free",
    batch="commit",
    rule=__doc__,
    sources=(Source("kernel/fork.c", "copy_mm"),),
    judge=judge,
)
