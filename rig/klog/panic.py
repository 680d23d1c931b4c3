"""Kernel panics: the reason, the trace, and the event that led there.

Format: panic() in kernel/panic.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rig.klog.builder import Builder
from rig.klog.model import Event
from rig.klog.prefix import Prefix

__all__ = ["PanicBuilder", "PanicEvent", "panic_reason"]

_PANIC = re.compile(r"(?!---\[ end).*?Kernel panic - not syncing: ?(?P<reason>.*)$")
_END = re.compile(r"---\[ end Kernel panic")
_TAIL = re.compile(
    r"Kernel Offset:|PHYS_OFFSET|CPU features:|Memory Limit:|SMP: stopping secondary|Rebooting in"
    r"|Dumping ftrace|"
    r"Shutting down cpus|Sending NMI from|\s*\(ftrace buffer empty\)|reboot: |Modules linked in"
)


def panic_reason(text: str) -> str | None:
    """Return why the kernel panicked if a line says that it does, or None."""
    match = _PANIC.match(text) if "Kernel panic" in text else None
    return None if match is None else match["reason"].strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class PanicEvent(Event):
    """The kernel's end. reason: its words after `not syncing:`."""

    kind: str = "panic"
    reason: str = ""

    @property
    def by_oom(self) -> bool:
        """Whether memory ran out with panic_on_oom set, or with nobody left to kill."""
        return is_oom_reason(self.reason)


def is_oom_reason(reason: str) -> bool:
    """Whether a panic's reason is one of out_of_memory()'s (mm/oom_kill.c)."""
    return "panic_on_oom" in reason or reason.startswith(("Out of memory", "System is deadlocked on memory"))


class PanicBuilder(Builder):
    """Takes the lines after `Kernel panic`."""

    kind = "panic"

    def __init__(self, line: int, prefix: Prefix) -> None:
        super().__init__(line, prefix)
        self.reason = ""

    def take(self, text: str, line: int) -> bool:
        taken = self._take(text.rstrip(), line)
        if taken:
            self.last_line = line
        return taken

    def _take(self, text: str, line: int) -> bool:
        if line == self.line:
            self.reason = panic_reason(text) or ""
            return True
        if _END.match(text):
            self.finished = True
            return True
        return self.header.take(text) or self.trace.take(text, line) or _TAIL.match(text) is not None

    def close(self) -> Event:
        return PanicEvent(**self.base(), title=f"kernel panic: {self.reason}", reason=self.reason)
