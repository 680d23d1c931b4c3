# SPDX-License-Identifier: MIT
"""In mode 1 no request is refused for its size."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["asked"] > saw["total"] and saw["errno"] == 0 and saw["left"] == 0


CHECK = Check(
    name="mode1-any",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/mm/overcommit-accounting.rst"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
