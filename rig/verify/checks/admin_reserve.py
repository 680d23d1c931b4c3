# SPDX-License-Identifier: MIT
"""In mode 2 vm.admin_reserve_kbytes is kept from processes without CAP_SYS_ADMIN, and from no other."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import slack_kb

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    slack = slack_kb(max(saw["nobody_without"], saw["root_without"]) * 2)
    kept = saw["nobody_without"] - saw["nobody_with"]
    return abs(kept - saw["reserve"]) <= slack and abs(saw["root_without"] - saw["root_with"]) <= slack


CHECK = Check(
    name="admin-reserve",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source(
            "mm/util.c",
            "__vm_enough_memory",
            "'mm: replace hardcoded 3% with admin_reserve_pages knob' (3.10)",
        ),
    ),
    judge=judge,
)
