# SPDX-License-Identifier: MIT
"""Refuse memory limits of cgroup version 1 in a kernel that was built without them, before the run."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rig.errors import UsageError
from rig.scenario.plan import RenderedPlan

__all__ = ["CGROUP_V1", "refuse_memory_of_cgroup_v1"]

CGROUP_V1 = "rig.cgroup=v1"
"""The word of the kernel's command line by which the agent mounts version 1 (guest/agent/cgroups.c)."""
NOT_BUILT = "# CONFIG_MEMCG_V1 is not set"
"""6.12 has the option (init/Kconfig), 6.1 has not: CONFIG_MEMCG built both versions then."""


def refuse_memory_of_cgroup_v1(
    plan: RenderedPlan, append: Collection[str], kernel: str, configuration: Callable[[], str | None]
) -> None:
    """Raise UsageError where the plan sets a memory file of version 1 and the kernel has no such controller.

    append: the words added to the kernel's command line.
    kernel: its name, for the message.
    configuration: returns its .config, or None where that is not known, and nothing is refused then. It is called only
        for a plan that needs the controller.
    """
    names = [
        name for step in plan.steps if step.verb == "cgroup" for name, _ in step.words if name.startswith("memory.")
    ]
    if CGROUP_V1 not in append or not names:
        return
    if NOT_BUILT in (configuration() or "").splitlines():
        raise UsageError(
            f"this kernel has no {names[0]}: it was built without the memory controller of cgroup version 1",
            where=f"{kernel}, CONFIG_MEMCG_V1",
            remedy="take an older kernel, as in --kernel debian:bookworm, or version 2's memory.max without "
            f"--append {CGROUP_V1}",
        )
