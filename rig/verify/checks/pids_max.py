# SPDX-License-Identifier: MIT
"""pids.max is EAGAIN from fork, with memory to spare."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import EAGAIN

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["errno"] == EAGAIN and saw["forked"] == saw["bound"] - 1 and saw["free"] > 1024


CHECK = Check(
    name="pids-max",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v2.rst"),
        Source("kernel/cgroup/pids.c", "pids_can_fork"),
    ),
    judge=judge,
)
