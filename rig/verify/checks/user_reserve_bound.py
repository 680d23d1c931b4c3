# SPDX-License-Identifier: MIT
"""In mode 2 vm.user_reserve_kbytes is kept from a process whose address space is at least 32 times as large."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import slack_kb

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    kept = saw["without"] - saw["with"]
    return saw["vm"] // 32 > saw["reserve"] and abs(kept - saw["reserve"]) <= slack_kb(saw["without"] * 2)


CHECK = Check(
    name="user-reserve-bound",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/util.c", "__vm_enough_memory", "c9b1d0981fcc"),
    ),
    judge=judge,
)
