# SPDX-License-Identifier: MIT
"""A System V segment is charged whole when it is made and given back when it is removed."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["size"] and saw["after"] == 0


CHECK = Check(
    name="sysv-shm",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("ipc/shm.c", "newseg"),
    ),
    judge=judge,
)
