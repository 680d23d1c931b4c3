# SPDX-License-Identifier: MIT
"""Refuse sysctls that the guest's kernel does not have, where its names are known, before the run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from rig.errors import UsageError
from rig.scenario.plan import RenderedPlan

__all__ = ["refuse_unknown_sysctls"]

# net.ipv4.conf.INTERFACE.NAME, net.ipv6.neigh.INTERFACE.NAME; an interface's name may have dots (eth0.100).
_OF_INTERFACE = re.compile(r"(net\.[^.]+\.(?:conf|neigh))\.(.+)\.([^.]+)")


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
        if step.verb != "sysctl" or name in known or _of_default(name) in known:
            continue
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
        meant = " or ".join(f"'{each}'" for each in near)
        raise UsageError(
            f"there is no sysctl '{name}' in this kernel",
            where=f"Linux {kernel}",
            remedy=f"did you mean {meant}?" if near else "'ls /proc/sys/vm' in a 'rig shell' shows what there is",
        )


def _of_default(name: str) -> str:
    """Return the name that a setting of one network interface has for `default`. Only that one is in the list."""
    return _OF_INTERFACE.sub(r"\1.default.\3", name)
