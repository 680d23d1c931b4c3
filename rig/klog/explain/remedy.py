# SPDX-License-Identifier: MIT
"""A remedy as data: name, when one applies, how it is applied, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rig.klog.event import Event
from rig.klog.oom.oom_event import OomEvent

__all__ = ["How", "RemedyRow", "Setting"]


class How(StrEnum):
    """What a remedy changes."""

    SYSCTL = "sysctl"
    CGROUP = "cgroup"
    SCORE = "score"
    SWAP = "swap"
    ZRAM = "zram"
    BOOT = "boot"
    LIMIT = "limit"
    MOUNT = "mount"
    SPAWN = "spawn"
    MADVISE = "madvise"
    SIZE = "size"
    POLICY = "policy"
    SERVICE = "service"
    FILE = "file"
    PARAMETER = "parameter"


@dataclass(frozen=True, slots=True)
class Setting:
    """One change.

    name: the sysctl, the cgroup file, the path, or whatever else is set.
    value: what it is set to; empty where the value depends on the case.
    """

    how: How
    name: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class RemedyRow:
    """A remedy.

    when: the situation, in words.
    applies: a function that returns whether an event was reported in this situation. It leaves the cause to `causes`.
    settings: alternative changes, one of which is enough.
    what, cost: the printed text; `{}` in what is replaced by what detail returns.
    measured: the result of a guest test (tests/guest/test_remedies.py). A row without a result, here or in
        measured_remedies.py, is tried on a run, but never recommended.
    causes: the causes of OOM reports that it is for; empty where the cause does not matter.
    """

    name: str
    when: str
    applies: Callable[[Event], bool]
    settings: tuple[Setting, ...]
    what: str
    cost: str
    detail: Callable[[OomEvent], str] | None = None
    measured: str = ""
    causes: tuple[str, ...] = ()

    def fits(self, event: Event, failure: str) -> bool:
        """Return whether the remedy is one for this event. failure: what kind_of_failure() returned for it."""
        return (not self.causes or failure in self.causes) and self.applies(event)
