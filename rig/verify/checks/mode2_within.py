# SPDX-License-Identifier: MIT
"""In mode 2 what stays within CommitLimit is granted."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["errno"] == 0 and saw["charged"] == saw["asked"]


CHECK = Check(
    name="mode2-within",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
