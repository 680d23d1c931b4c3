# SPDX-License-Identifier: MIT
"""Huge pages are taken off RAM before the ratio is applied."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import limit_by_ratio

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["huge"] > 0 and saw["limit"] == limit_by_ratio(saw, saw["ratio"])


CHECK = Check(
    name="limit-hugetlb",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "vm_commit_limit"),
    ),
    judge=judge,
)
