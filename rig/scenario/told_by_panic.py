# SPDX-License-Identifier: MIT
"""Tell whether the lines of a panic confirm the report that led to it.

A panic stops the agent before it can relay that report from /dev/kmsg. A program may have turned the console off
before, and have printed a report of its own. It cannot hide the panic: panic() turns the console on again
(console_verbose(), kernel/panic.c), and prints the task, its registers and its trace.
"""

from __future__ import annotations

from itertools import dropwhile
from typing import Any

from rig.klog import Event, OomEvent, PanicEvent
from rig.klog.event import Trace
from rig.klog.kinds import Kind
from rig.scenario.evidence import Evidence

__all__ = ["is_told_by_panic", "panic_of"]

REASONS = {
    Kind.OOPS: ("Fatal exception",),
    Kind.HUNG_TASK: ("hung_task:",),
    Kind.LOCKUP: ("softlockup:", "Hard LOCKUP"),
    Kind.RCU_STALL: ("RCU Stall",),
    Kind.WARNING: ("panic_on_warn",),
}
"""What panic() says after a report of that kind: oops_end(), arch/x86/kernel/dumpstack.c; kernel/hung_task.c;
kernel/watchdog.c and watchdog_hld.c; kernel/rcu/tree_stall.h; check_panic_on_warn(), kernel/panic.c."""


def panic_of(evidence: Evidence) -> PanicEvent | None:
    """Return the panic in which the run ended; None where there was none, or QEMU saw none."""
    panics = evidence.panics()
    return panics[0] if len(panics) == 1 and evidence.panic_seen() is not False else None


def is_told_by_panic(panic: PanicEvent | None, report: Event) -> bool:
    """Return whether the panic's own lines say what the report says that led to it.

    They do not repeat Mem-Info and the task table of an OOM report.
    """
    if panic is None or panic.caused_by != report.number:
        return False
    if isinstance(report, OomEvent):
        return panic.by_oom and _same_request(report, panic)
    return any(word in panic.reason for word in REASONS.get(report.kind, ()))


def _same_request(report: OomEvent, panic: PanicEvent) -> bool:
    """Return whether both are of one call of out_of_memory(), which panics before it kills anybody (mm/oom_kill.c)."""
    asked = _callers(report.trace)
    return not report.kills and report.invoker == panic.task and bool(asked) and asked == _callers(panic.trace)


def _callers(trace: Trace) -> tuple[Any, ...]:
    """Return the frames that called out_of_memory(), and the registers of the program that they worked for."""
    outer = dropwhile(lambda frame: frame.function.partition(".")[0] != "out_of_memory", trace.frames)
    frames = [(frame.function, frame.offset, frame.reliable) for frame in list(outer)[1:]]
    return (*frames, *((each.where, tuple(each.values.items())) for each in trace.registers)) if frames else ()
