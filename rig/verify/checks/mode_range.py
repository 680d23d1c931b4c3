# SPDX-License-Identifier: MIT
"""vm.overcommit_memory takes 0, 1 and 2, and no other value."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import EINVAL

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["errno"] == EINVAL and saw["mode"] == 0


CHECK = Check(
    name="mode-range",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("kernel/sysctl.c", "proc_dointvec_minmax"),
    ),
    judge=judge,
)
