# SPDX-License-Identifier: MIT
"""RLIMIT_AS is ENOMEM for what is above it, with memory to spare."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["within"] == 0 and saw["above"] == ENOMEM and saw["free"] > saw["asked"]


CHECK = Check(
    name="rlimit-as",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/mmap.c", "may_expand_vm"),),
    judge=judge,
)
