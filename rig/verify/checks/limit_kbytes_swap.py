# SPDX-License-Identifier: MIT
"""Swap is added to vm.overcommit_kbytes too."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["swap"] > 0 and saw["limit"] == saw["kbytes"] + saw["swap"]


CHECK = Check(
    name="limit-kbytes-swap",
    batch="swap",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/util.c", "vm_commit_limit", "49f0ce5f9232"),
    ),
    judge=judge,
)
