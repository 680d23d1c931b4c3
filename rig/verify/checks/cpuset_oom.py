# SPDX-License-Identifier: MIT
"""A cpuset without memory has an OOM of its constraint, and its victim may not be one that uses other nodes, however
large.
"""

from __future__ import annotations

from rig.verify.check import Check, Saw, Source

__all__ = ["CHECK"]


def judge(saw: Saw) -> bool:
    return saw["ooms"] == 1 and saw.killed() == {"inside"} and saw.text("oom_constraint") == "CONSTRAINT_CPUSET"


CHECK = Check(
    name="cpuset-oom",
    batch="numa",
    rule=__doc__,
    sources=(
        Source("Documentation/admin-guide/cgroup-v1/cpusets.rst"),
        Source("mm/oom_kill.c", "constrained_alloc"),
        Source("mm/oom_kill.c", "oom_cpuset_eligible"),
    ),
    judge=judge,
)
