# SPDX-License-Identifier: MIT
"""Explain events while the log is read, and keep no tables of processes: they are most of a report's memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rig.klog import Event
from rig.klog.explain import Explanation
from rig.klog.explain import explain as in_words
from rig.klog.oom.oom_event import OomEvent

__all__ = ["ChosenEvents", "listed"]

LISTED = (
    "kind", "number", "time", "wall", "host", "caller", "line", "last_line", "title", "function", "corrupted",
    "caused_by", "cpu", "task", "kernel", "invoker", "constraint", "scope", "oom_memcg", "kills", "killable", "old",
    "reaped",
)  # fmt: skip
"""The fields of an OOM report that the list of events and the storms are made of."""


def listed(event: Event) -> Event:
    """Return what is kept of an event that is only listed. An OOM report has 20 kB of tables, a list a line of it."""
    if not isinstance(event, OomEvent):
        return event
    return OomEvent(**{name: getattr(event, name) for name in LISTED})


class ChosenEvents:
    """The events to print: all of them, the one with a number, or the most severe (Kind.gravity)."""

    def __init__(
        self, number: int | None, change: Callable[[Event], Event] = lambda event: event, *, everything: bool
    ) -> None:
        self._number = number
        self._everything = everything
        self._change = change
        self._chosen: list[Event] = []
        self._explanations: list[Explanation] = []

    def keep(self, event: Event) -> Event:
        """Explain an event if all are printed, and return it without its table of processes."""
        event = self._change(event)
        if self._everything:
            self._explanations.append(in_words(event))
            self._chosen.append(replace(event, tasks=()) if isinstance(event, OomEvent) else event)
        elif self._number is not None:
            if event.number == self._number:
                self._chosen = [event]
        elif not self._chosen or event.kind.gravity < self._chosen[0].kind.gravity:
            self._chosen = [event]
        return listed(event)

    def chosen(self) -> tuple[list[Event], list[Explanation]]:
        """Return the events to print, and the explanation of each."""
        if not self._everything:
            self._explanations = [in_words(event) for event in self._chosen]
        return self._chosen, self._explanations
