# SPDX-License-Identifier: MIT
"""A memfd is charged a page at a time as pages are written, whatever its size, and given back with its last
descriptor.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["empty"] == 0 and saw["full"] == saw["written"] and saw["after"] == 0


CHECK = Check(
    name="memfd-by-page",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/shmem.c", "shmem_acct_block"),
    ),
    judge=judge,
)
