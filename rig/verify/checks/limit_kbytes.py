# SPDX-License-Identifier: MIT
"""vm.overcommit_kbytes sets CommitLimit itself, to which swap is added."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["limit"] == saw["kbytes"] + saw["swap"]


CHECK = Check(
    name="limit-kbytes",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/sysctl/vm.rst"),
        Source("mm/util.c", "vm_commit_limit", "49f0ce5f9232"),
    ),
    judge=judge,
)
