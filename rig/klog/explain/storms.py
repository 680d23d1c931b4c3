# SPDX-License-Identifier: MIT
"""Several OOM reports that are one shortage: kills that follow each other for the same limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rig.klog.event import Event
from rig.klog.explain.words import count
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent

__all__ = ["Storm", "storms"]

_GAP = 60.0  # seconds between two reports of one shortage, at most
_AT_ONCE = 1.0  # a second kill so soon follows before the first one's memory was back, or because it was too little


@dataclass(frozen=True, slots=True)
class Storm:
    """Reports that are one shortage.

    events: their numbers, in order. seconds: from the first to the last. text: the storm in words.
    """

    events: tuple[int, ...]
    seconds: float
    text: str


def storms(events: Sequence[Event]) -> tuple[Storm, ...]:
    """Return the storms of a log: two or more OOM reports for the same limit, each within a minute of the one before.

    Reports without a time since boot belong to none, because their distance is unknown.
    """
    groups: dict[tuple[str, str], list[list[OomEvent]]] = {}
    for event in events:
        if not isinstance(event, OomEvent) or event.kind is not Kind.OOM or event.time is None:
            continue
        found = groups.setdefault((event.scope or "", event.oom_memcg or ""), [])
        last = found[-1][-1] if found else None
        if last is not None and last.time is not None and 0 <= event.time - last.time <= _GAP:
            found[-1].append(event)
        else:
            found.append([event])
    made = [_storm(group) for found in groups.values() for group in found if len(group) > 1]
    return tuple(sorted(made, key=lambda storm: storm.events))


def _storm(group: Sequence[OomEvent]) -> Storm:
    first, last = group[0], group[-1]
    seconds = (last.time or 0.0) - (first.time or 0.0)
    where = (
        f"the limit of {first.oom_memcg}" if first.scope == "memcg" and first.oom_memcg else "one shortage of memory"
    )
    killed = [event.victim.comm for event in group if event.victim is not None]
    if len(group) == 2:
        text = f"Events {first.number} and {last.number} are one: two OOM reports for {where}, {seconds:.1f} s apart."
        if seconds <= _AT_ONCE and len(killed) == 2:
            text += f" {_second(first)}"
    else:
        every = seconds / (len(group) - 1)
        text = (
            f"Events {first.number} to {last.number} are one: {count(len(group), 'OOM report')} for {where} within "
            f"{seconds:.1f} s, one every {every:.1f} s."
        )
    names = sorted(set(killed), key=lambda name: (-killed.count(name), name))
    if names:
        each = [f"{name} ({killed.count(name)} times)" if killed.count(name) > 1 else name for name in names[:5]]
        text += f" Killed were {', '.join(each)}{' and others' if len(names) > 5 else ''}."
    return Storm(tuple(event.number for event in group), round(seconds, 6), text)


def _second(first: OomEvent) -> str:
    victim = first.victim
    assert victim is not None
    reaped = next((entry for entry in first.reaped if entry.pid == victim.pid), None)
    if reaped is None:
        return f"No line of the reaper stands in between: the memory of {victim.comm} may not have been back yet."
    if not reaped.done:
        return f"The reaper could not take back the memory of {victim.comm}, so that another process had to go."
    return f"The reaper had taken back the memory of {victim.comm}: it was not enough, or was used up at once."
