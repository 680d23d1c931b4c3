# SPDX-License-Identifier: MIT
"""vm.overcommit_ratio and vm.overcommit_kbytes exclude each other: setting one sets the other to 0."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["ratio_after_kbytes"] == 0 and saw["kbytes_after_ratio"] == 0


CHECK = Check(
    name="limit-exclusive",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/util.c", "overcommit_kbytes_handler", "49f0ce5f9232"),
    ),
    judge=judge,
)
