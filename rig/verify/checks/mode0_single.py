# SPDX-License-Identifier: MIT
"""In mode 0 a single request is granted up to all of RAM and swap, and refused one page above."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["largest"] == saw["total"] + saw["swap"] and saw["errno"] == ENOMEM


CHECK = Check(
    name="mode0-single",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory", "8c7829b04c52"),
    ),
    judge=judge,
)
