# SPDX-License-Identifier: MIT
"""Why did nothing kill: tasks that waited for memory in a log without an OOM kill."""

from __future__ import annotations

from collections.abc import Sequence

from rig.klog.crash.crash_event import CrashEvent
from rig.klog.event import Event
from rig.klog.explain.explanation import Sentence
from rig.klog.explain.words import count
from rig.klog.functions import known
from rig.klog.kinds import Kind
from rig.klog.oom.allocation import AllocationEvent

__all__ = ["stalled_on_memory"]

_WAITS = {Kind.HUNG_TASK, Kind.LOCKUP, Kind.RCU_STALL}
# Where a task sleeps for memory: mm/vmscan.c, mm/memcontrol.c, mm/memory.c and mm/page_io.c. A wait for a page of a
# file is left out: it may be the disk alone that is slow.
_SLEEPS = {
    "throttle_direct_reclaim",
    "reclaim_throttle",
    "mem_cgroup_handle_over_high",
    "__mem_cgroup_handle_over_high",
    "do_swap_page",
    "swap_readpage",
    "swap_read_folio",
}


def stalled_on_memory(events: Sequence[Event]) -> Sentence | None:
    """Return a sentence on the tasks that waited for memory, or None where there are none or there was a kill."""
    if any(event.kind in (Kind.OOM, Kind.USER_KILL) for event in events):
        return None
    stalls = [event for event in events if isinstance(event, AllocationEvent) and "stalls for" in event.what]
    waiting = [event for event in events if _waits(event)]
    if not stalls and not waiting:
        return None
    parts = []
    if waiting:
        are = "were" if len(waiting) > 1 else "was"
        parts.append(f"{count(len(waiting), 'task')} {are} stuck in reclaim, or waiting for pages in swap")
    if stalls:
        parts.append(f"{count(len(stalls), 'request')} for memory took longer than 10 s (page allocation stalls)")
    text = (
        f"Nothing was killed, but memory was short: {' and '.join(parts)}. As long as reclaim makes progress, however "
        "little, the kernel does not kill. /proc/pressure/memory shows this on a machine that still answers."
    )
    return Sentence(text, tuple(event.line for event in (*waiting, *stalls))[:8])


def _waits(event: Event) -> bool:
    if not isinstance(event, CrashEvent) or event.kind not in _WAITS:
        return False
    functions = [frame.function.split(".")[0] for frame in event.trace.frames if frame.reliable]
    return any(name in _SLEEPS or ((row := known(name)) is not None and row.layer == "reclaim") for name in functions)
