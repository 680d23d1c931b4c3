# SPDX-License-Identifier: MIT
"""Explain events while the log is read, and keep no tables of processes: they are most of a report's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import IO

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

IN_MEMORY = 4 << 20
"""Bytes of pickled events that are kept in memory; a log with more has them in a temporary file."""


def listed(event: Event) -> Event:
    """Return what is kept of an event that is only listed. An OOM report has 20 kB of tables, a list a line of it."""
    if not isinstance(event, OomEvent):
        return event
    return OomEvent(**{name: getattr(event, name) for name in LISTED})


class ChosenEvents:
    """The events to print: all of them, the one with a number, or the most severe (Kind.gravity).

    number: the event to print; None for the most severe.
    everything: whether all are printed. Their explanations wait in a file, because the list of events is printed
        first, and in memory they would take more than the log.
    """

    def __init__(
        self, number: int | None, change: Callable[[Event], Event] = lambda event: event, *, everything: bool
    ) -> None:
        self.count = 0
        self._number = number
        self._change = change
        self._chosen: Event | None = None
        self._file: IO[bytes] | None = None
        if everything:
            # tempfile, and pickle below, are imported on demand: reading a small log takes less time than the imports.
            from tempfile import SpooledTemporaryFile

            self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 # closed by chosen()

    def keep(self, event: Event) -> Event:
        """Explain an event if all are printed, and return it without its table of processes."""
        event = self._change(event)
        if self._file is not None:
            import pickle

            shown = replace(event, tasks=()) if isinstance(event, OomEvent) else event
            pickle.dump((shown, in_words(event)), self._file, pickle.HIGHEST_PROTOCOL)
            self.count += 1
        elif self._is_wanted(event):
            self._chosen, self.count = event, 1
        return listed(event)

    def _is_wanted(self, event: Event) -> bool:
        """Return whether this is the event with the number asked for, or without one, the gravest so far."""
        if self._number is not None:
            return event.number == self._number
        return self._chosen is None or event.kind.gravity < self._chosen.kind.gravity

    def chosen(self) -> Iterator[tuple[Event, Explanation]]:
        """Yield the events to print, each with its explanation. `count` is their number."""
        if self._file is None:
            if self._chosen is not None:
                yield self._chosen, in_words(self._chosen)
            return
        import pickle

        with self._file as file:
            file.seek(0)
            for _ in range(self.count):
                yield pickle.load(file)
