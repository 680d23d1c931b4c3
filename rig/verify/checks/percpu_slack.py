# SPDX-License-Identifier: MIT
"""In mode 2 small requests from all CPUs end within a batch a CPU of CommitLimit."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source
from rig.verify.rules import batch_kb

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    batch = batch_kb(saw["total"], saw["cpus"])
    return abs(saw["committed"] - saw["limit"]) <= batch * saw["cpus"] + saw["step"]


CHECK = Check(
    name="percpu-slack",
    batch="commit",
    rule=__doc__,
    sources=(
        Source("mm/mm_init.c", "mm_compute_batch", "56f3547bfa4d"),
        Source("mm/util.c", "__vm_enough_memory"),
    ),
    judge=judge,
)
