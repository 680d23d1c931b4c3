# SPDX-License-Identifier: MIT
"""Explain events in plain words. Each sentence names the lines of the log that prove it."""

from __future__ import annotations

from collections.abc import Sequence

from rig.klog.crash.crash_event import CrashEvent
from rig.klog.event import Event
from rig.klog.explain.explanation import Bar, Check, Explanation, Picture, Remedy, Section, Sentence
from rig.klog.explain.silent import SILENT_KILLERS
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent

__all__ = [
    "SILENT_KILLERS",
    "Bar",
    "Check",
    "Explanation",
    "Picture",
    "Remedy",
    "Section",
    "Sentence",
    "choose",
    "explain",
]


def explain(event: Event) -> Explanation:
    """Explain any event. A family's module is imported only when one of its events is explained."""
    if isinstance(event, OomEvent):
        from rig.klog.explain.oom import explain_allocation_failure, explain_memory_info, explain_oom

        if event.kind is Kind.OOM:
            return explain_oom(event)
        from rig.klog.oom.allocation import AllocationEvent

        return explain_allocation_failure(event) if isinstance(event, AllocationEvent) else explain_memory_info(event)
    if isinstance(event, CrashEvent):
        from rig.klog.explain.crash import explain_crash

        return explain_crash(event)
    from rig.klog.explain.others import explain_other

    return explain_other(event)


def choose(events: Sequence[Event], *, everything: bool = False) -> list[Event]:
    """Return the events to explain: all of them, or the first of the gravest (Kind.gravity)."""
    if everything or not events:
        return list(events)
    return [min(events, key=lambda event: event.kind.gravity)]
