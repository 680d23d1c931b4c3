# SPDX-License-Identifier: MIT
"""A crash, or anything else that the kernel reports with a trace: oops, warning, stall, sanitizer's
finding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rig.klog.event import Event, Trace

__all__ = ["CrashEvent", "LabelledTrace"]


@dataclass(frozen=True, slots=True)
class LabelledTrace:
    """A trace and the words above it: `Call Trace`, `Allocated by task 12`, `Freed by task 12`."""

    label: str
    trace: Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashEvent(Event):
    """headline: the line that begins the report. address: the address that was touched, where the report
    says.

    traces: all of them; `trace` is the first that holds frames. locks: lines of lockdep's lists of held
    locks.
    """

    headline: str = ""
    address: int | None = None
    workqueue: str | None = None
    oops_count: int | None = None
    traces: tuple[LabelledTrace, ...] = ()
    modules: tuple[str, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
