# SPDX-License-Identifier: MIT
"""The end of a process gives its whole charge back."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["during"] >= saw["mapped"] and saw["after"] == 0


CHECK = Check(
    name="exit",
    batch="commit",
    rule=__doc__,
    sources=(Source("mm/mmap.c", "exit_mmap"),),
    judge=judge,
)
