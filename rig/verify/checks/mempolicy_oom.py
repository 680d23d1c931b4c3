# SPDX-License-Identifier: MIT
"""A process that is bound to a node by its memory policy has an OOM of that constraint."""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["ooms"] == 1 and saw.killed() == {"bound"} and saw.text("oom_constraint") == "CONSTRAINT_MEMORY_POLICY"


CHECK = Check(
    name="mempolicy-oom",
    batch="numa",
    rule=__doc__,
    sources=(
        Source("mm/oom_kill.c", "constrained_alloc"),
        Source("mm/mempolicy.c", "mempolicy_in_oom_domain"),
    ),
    judge=judge,
)
