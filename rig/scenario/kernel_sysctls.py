# SPDX-License-Identifier: MIT
"""Refuse sysctls that the guest's kernel does not have, where its names are known, before the run."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from rig.errors import UsageError
from rig.scenario.plan import RenderedPlan

__all__ = ["LISTED_ROOTS", "refuse_unknown_sysctls"]

LISTED_ROOTS = ("abi", "debug", "fs", "kernel", "user", "vm")
"""Directories of /proc/sys whose names the agent lists (guest/agent/sysctls.c). Those of devices come and go."""


def refuse_unknown_sysctls(plan: RenderedPlan, known: Collection[str], kernel: str) -> None:
    """Raise UsageError for a sysctl of the plan that is not among the names that the kernel has.

    known: the kernel's names, with dots; empty if they are not known, and nothing is refused then.
    kernel: its release, for the message.
    """
    if not known:
        return
    for step in plan.steps:
        words = dict(step.words)
        name = words.get("name", "").replace("/", ".")
        if step.verb != "sysctl" or name.partition(".")[0] not in LISTED_ROOTS or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
        meant = " or ".join(f"'{each}'" for each in near)
        raise UsageError(
            f"there is no sysctl '{name}' in this kernel",
            where=f"Linux {kernel}",
            remedy=f"did you mean {meant}?" if near else "'ls /proc/sys/vm' in a 'rig shell' shows what there is",
        )
