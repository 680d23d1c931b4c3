# SPDX-License-Identifier: MIT
"""CrashEvent: an oops, a warning, a stall, a sanitizer's finding, or another kernel report with a trace."""

from __future__ import annotations

from dataclasses import dataclass, field

from rig.klog.event import Event, Trace

__all__ = ["CrashEvent", "LabelledTrace"]


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace and its heading: `Call Trace`, `Allocated by task 12`, `Freed by task 12`."""

    label: str
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashEvent(Event):
    """A kernel report with a trace.

    headline: the line that begins the report.
    address: the faulting address; None where the report prints none.
    file: the source file to blame, as in `net/core/sock.c`; None where the report names no files.
    workqueue: the work item that ran, as `Workqueue:` prints it.
    oops_count: the number of oopses since boot, from `[#1]`.
    traces: every trace of the report; `trace` is the first that has frames.
    modules: the names that `Modules linked in:` lists, with their taint flags.
    values: what else the report's first lines say, as printed: `what` was wrong, the kind of `access`, the `lock`.
    """

    headline: str = ""
    address: int | None = None
    file: str | None = None
    workqueue: str | None = None
    oops_count: int | None = None
    traces: tuple[LabelledTrace, ...] = ()
    modules: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
