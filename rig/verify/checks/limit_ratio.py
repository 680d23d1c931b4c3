# SPDX-License-Identifier: MIT
"""CommitLimit is RAM without huge pages, times vm.overcommit_ratio percent, plus swap; the ratio may be above 100."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import limit_by_ratio

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return all(saw[f"at_{ratio}"] == limit_by_ratio(saw, ratio) for ratio in (0, 37, 50, 100, 150))


CHECK = Check(
    name="limit-ratio",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "vm_commit_limit"),
    ),
    judge=judge,
)
