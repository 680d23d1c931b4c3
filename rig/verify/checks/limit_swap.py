# SPDX-License-Identifier: MIT
"""All of swap is added to CommitLimit, whatever the ratio."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import limit_by_ratio

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["swap"] > 0 and saw["limit"] == limit_by_ratio(saw, saw["ratio"])


CHECK = Check(
    name="limit-swap",
    batch="swap",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "vm_commit_limit"),
    ),
    judge=judge,
)
