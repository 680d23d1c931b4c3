# SPDX-License-Identifier: MIT
"""Facts about an event that several parts of an explanation use."""

from __future__ import annotations

from rig.klog.event import Event
from rig.klog.explain.victim import ranking
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import CgroupUsage

__all__ = ["cgroup_counter", "next_in_line", "refuses_commitments", "without_swap"]


def refuses_commitments(event: Event) -> bool:
    """Return whether the event is a refused commitment (vm.overcommit_memory=2)."""
    return event.kind is Kind.COMMIT_REFUSED


def cgroup_counter(event: Event, name: str) -> CgroupUsage | None:
    """Return the named counter of the cgroup that reached its limit; None where the report has none."""
    if not isinstance(event, OomEvent) or event.scope != "memcg":
        return None
    return next((usage for usage in event.cgroup if usage.name == name), None)


def without_swap(event: Event) -> bool:
    """Return whether the report shows that the machine has no swap."""
    return isinstance(event, OomEvent) and event.totals.get("total_swap_kb") == 0


def next_in_line(event: OomEvent) -> str:
    """Return, in words, how low the victim's oom_score_adj would have had to be to spare it.

    The words also name the task that the kernel would have killed instead.
    """
    ranked = ranking(event)
    kill = event.victim
    if len(ranked) == 1:
        return "with -1000 nobody would have been left to kill"
    if len(ranked) < 2 or event.totalpages is None or kill is None or ranked[0][1].pid != kill.pid:
        return "another would have been chosen"
    step = max(event.totalpages // 1000, 1)
    needed = (ranked[0][0] - ranked[1][0]) // step + 1
    adj = (ranked[0][1].oom_score_adj or 0) - needed
    if adj < -999:
        return f"nothing short of -1000 would have put {ranked[1][1].name} before it"
    return f"at {adj} or below, {ranked[1][1].name} (pid {ranked[1][1].pid}) would have died instead"
