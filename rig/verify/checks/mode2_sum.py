# SPDX-License-Identifier: MIT
"""In mode 2 the sum counts: a second request that would lift it above CommitLimit is refused."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["committed"] + 2 * saw["each"] > saw["limit"] and saw["first"] == 0 and saw["second"] == ENOMEM


CHECK = Check(
    name="mode2-sum",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
