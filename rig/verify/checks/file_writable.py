# SPDX-License-Identifier: MIT
"""A private writable mapping of a file is charged: each page may have to be copied."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["mapped"]


CHECK = Check(
    name="file-writable",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mmap.c", "accountable_mapping"),
    ),
    judge=judge,
)
