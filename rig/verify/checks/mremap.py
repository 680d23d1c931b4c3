# SPDX-License-Identifier: MIT
"""mremap charges what it adds and gives back what it takes off."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["charged"] == saw["grown"] and saw["after"] == 0


CHECK = Check(
    name="mremap",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/mremap.c", "mremap"),
    ),
    judge=judge,
)
