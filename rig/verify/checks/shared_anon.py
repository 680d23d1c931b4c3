# SPDX-License-Identifier: MIT
"""Shared anonymous memory is charged whole when it is mapped."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["mapped"]


CHECK = Check(
    name="shared-anon",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/shmem.c", "shmem_acct_size"),
    ),
    judge=judge,
)
