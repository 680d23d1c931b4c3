# SPDX-License-Identifier: MIT
"""Huge pages are not taken off vm.overcommit_kbytes."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["huge"] > 0 and saw["limit"] == saw["kbytes"] + saw["swap"]


CHECK = Check(
    name="limit-kbytes-hugetlb",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/util.c", "vm_commit_limit", "49f0ce5f9232"),),
    judge=judge,
)
