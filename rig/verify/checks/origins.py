# SPDX-License-Identifier: MIT
"""Processes that take memory on behalf of the kernel: they are killed first, however small."""

from __future__ import annotations

from rig.verify.check import Check, Facts, Source
from rig.verify.rules import CONSTRAINT_MEMCG

__all__ = ["CHECKS"]

_IN_ONE_CGROUP = {"memory.max": 24 << 20, "adj.origin": 0, "adj.large": 0}
_ORIGIN_COUNTEREXAMPLES = (
    {"killed": "large", "oom_victim": "large"},
    {"killed": "nobody"},
    {"ooms": 0},
    {"oom_constraint": "CONSTRAINT_NONE"},
    {"free": 1024},
    {"rss.large": 4},
)


def _origin_goes_first(facts: Facts) -> bool:
    # The cgroup is still full afterwards, so a second kill may follow.
    return (
        "origin" in facts.killed()
        and facts["ooms"] > 0
        and facts.text("oom_victim") == "origin"
        and facts.text("oom_constraint") == CONSTRAINT_MEMCG
        and facts["free"] > 16 * 1024
        and facts["rss.large"] > 10 * facts["rss.origin"]
    )


CHECKS = (
    Check(
        "swapoff-origin",
        "swap",
        "A process in swapoff, which brings everybody's pages back into RAM, is killed first, however small "
        "(measured in a cgroup at its limit).",
        (Source("mm/oom_kill.c", "oom_evaluate_task"), Source("mm/swapfile.c", "swapoff")),
        lambda f: _origin_goes_first(f) and f["swapped"] > 8 * 1024,
        control="~swapoff",
        given=_IN_ONE_CGROUP,
        counterexamples=(*_ORIGIN_COUNTEREXAMPLES, {"swapped": 0}),
    ),
    Check(
        "ksm-origin",
        "oom",
        "A process that has KSM separate merged pages (2 to /sys/kernel/mm/ksm/run) is killed first, however small "
        "(measured in a cgroup at its limit).",
        (Source("mm/oom_kill.c", "oom_evaluate_task"), Source("mm/ksm.c", "run_store")),
        lambda f: _origin_goes_first(f) and f["merged"] > 28 * 1024,
        control="~unmerge",
        given=_IN_ONE_CGROUP,
        counterexamples=(*_ORIGIN_COUNTEREXAMPLES, {"merged": 0}),
    ),
)
