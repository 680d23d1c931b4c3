# SPDX-License-Identifier: MIT
"""madvise with MADV_DONTNEED gives the pages back and keeps the charge: the promise stands."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["mapped"]


CHECK = Check(
    name="dontneed",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/madvise.c", "madvise_dontneed_single_vma"),),
    judge=judge,
)
