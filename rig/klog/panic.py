# SPDX-License-Identifier: MIT
"""Kernel panics: the reason, the trace, and the event that led there.

Format: panic() in kernel/panic.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rig.klog.crash.builder import CrashBuilder
from rig.klog.crash.crash_event import CrashEvent
from rig.klog.event import Event
from rig.klog.kinds import Kind

__all__ = ["PanicBuilder", "PanicEvent", "panic_reason"]

_PANIC = re.compile(r"(?!---\[ end).*?Kernel panic - not syncing: ?(?P<reason>.*)$")


def panic_reason(text: str) -> str | None:
    """Return the reason of a `Kernel panic - not syncing: REASON` line, or None for any other line."""
    match = _PANIC.match(text) if "Kernel panic" in text else None
    return None if match is None else match["reason"].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class PanicEvent(CrashEvent):
    """The kernel's end. reason: its words after `not syncing:`."""

    kind: Kind = Kind.PANIC
    reason: str = ""

    @property
    def by_oom(self) -> bool:
        """Return whether out_of_memory() panicked: panic_on_oom was set, or no process could be killed."""
        return is_oom_reason(self.reason)


def is_oom_reason(reason: str) -> bool:
    """Return whether a panic's reason is one that out_of_memory() or check_panic_on_oom() prints (mm/oom_kill.c)."""
    return "panic_on_oom" in reason or reason.startswith(("Out of memory", "System is deadlocked on memory"))


class PanicBuilder(CrashBuilder):
    """Collects the lines from `Kernel panic` on."""

    def close(self) -> Event:
        reason = panic_reason(self.texts[0]) if self.texts else None
        return PanicEvent(**self.fields(), reason=reason or "")
