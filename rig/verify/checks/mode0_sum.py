# SPDX-License-Identifier: MIT
"""In mode 0 each request is looked at alone: their sum may be above RAM and swap."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return 2 * saw["each"] > saw["total"] and saw["charged"] == 2 * saw["each"]


CHECK = Check(
    name="mode0-sum",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
