# SPDX-License-Identifier: MIT
"""Page maps: the state of each page of an array as the agent recorded it, and the maps of two processes combined.

The agent reads /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). docs/reference/agent-protocol.md defines
the names of the states.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rig.run.records import MOST_PAGES, PAGE_STATES, Record, Records

__all__ = ["PageMap", "Snapshot", "page_maps", "snapshots"]

Run = tuple[int, str]


@dataclass(frozen=True)
class PageMap:
    """The page map of one array in one process.

    time: guest seconds.
    runs: (number of pages, state) pairs, from the array's start.
    """

    time: float
    label: str
    program: str
    comm: str
    pid: int
    start: int
    page_size: int
    runs: tuple[Run, ...]
    took: float | None = None
    periodic: bool = False

    @property
    def pages(self) -> int:
        return sum(count for count, _ in self.runs)

    def count(self, state: str) -> int:
        """Return how many pages are in a state."""
        return sum(count for count, other in self.runs if other == state)


@dataclass(frozen=True)
class Snapshot:
    """The maps of one array that were taken together: the parent's and, if there is one, the forked child's."""

    label: str
    maps: tuple[PageMap, ...]

    @property
    def time(self) -> float:
        return self.maps[0].time

    def together(self) -> tuple[Run, ...]:
        """Return runs of the combined states of both maps.

        `shared`: both processes map the same page.
        `copied`: each process has a page of its own.
        `alone`: only one process has the array at this position.
        Any other pair gives the first map's state.
        """
        if len(self.maps) < 2:
            return tuple((count, "alone" if state == "private" else state) for count, state in self.maps[0].runs)
        first, second = self.maps[:2]
        return tuple(_merged((count, _both(*states)) for count, *states in _overlaid(first.runs, second.runs)))


def page_maps(records: Records) -> list[PageMap]:
    """Return the page maps in the order in which they were taken; a map that spans several records is joined.

    Invalid maps are left out: wrong types, unknown states, or more pages than MOST_PAGES.
    """
    found: list[PageMap] = []
    parts: list[Run] = []
    first: Record | None = None
    for record in records.of("pagemap"):
        # One damaged record spoils its map: without it the later runs would be at wrong positions.
        runs = _runs(record)
        if runs is None or not _has_the_frame(record):
            parts, first = [], None
            continue
        if first is None or first.get("pid") != record.get("pid"):
            parts, first = [], record
        parts.extend(runs)
        if sum(count for count, _ in parts) > MOST_PAGES:
            parts, first = [], None
        elif record.get("last") is not False:
            found.append(_map(first, parts, record.get("took")))
            parts, first = [], None
    return found


def snapshots(maps: Sequence[PageMap]) -> list[Snapshot]:
    """Group consecutive maps of the same array and label that come from different processes.

    Reading the map of 200 MB costs a guest 64 ms, so a plan may read the child's map alone while the child writes.
    The parent's map can be derived from the child's: a page that both shared, and that is now private to the child, is
    private to the parent too. The parent's last map, updated by this rule, stands for the one that was not taken.
    The rule is applied to periodic maps only: elsewhere a missing map means that the process has exited.
    """
    groups: list[list[PageMap]] = []
    for group in _taken_together(maps):
        before = groups[-1] if groups else []
        child = group[-1]
        if (
            len(group) == 1
            and child.periodic
            and len(before) == 2
            and before[1].pid == child.pid
            and _same_array(before[1], child)
        ):
            group = [_brought_forward(before[0], child), child]
        groups.append(group)
    return [Snapshot(group[0].label, tuple(group)) for group in groups]


def _taken_together(maps: Sequence[PageMap]) -> list[list[PageMap]]:
    groups: list[list[PageMap]] = []
    for each in maps:
        last = groups[-1] if groups else []
        if (
            last
            and last[0].label == each.label
            and _same_array(last[0], each)
            and each.pid not in {other.pid for other in last}
            and len(last) < 2
        ):
            last.append(each)
        else:
            groups.append([each])
    return groups


def _same_array(one: PageMap, other: PageMap) -> bool:
    return (one.program, one.start, one.pages) == (other.program, other.start, other.pages)


def _brought_forward(before: PageMap, child: PageMap) -> PageMap:
    """Return the parent's map at the time of the child's, by the rule in snapshots()."""
    runs = (
        (count, "private" if own == "private" and state == "shared" else state)
        for count, state, own in _overlaid(before.runs, child.runs)
    )
    return replace(before, time=child.time, label=child.label, runs=tuple(_merged(runs)), took=None)


def _both(first: str, second: str) -> str:
    """Return the combined state of one page in the parent (first) and the child (second)."""
    if first == second == "private":
        return "copied"
    if second == "none" and first == "private":
        return "alone"
    return first


def _overlaid(first: Sequence[Run], second: Sequence[Run]) -> Iterator[tuple[int, str, str]]:
    """Yield (pages, first state, second state) of the positions that two maps have in common.

    Both lists are stacks here, so that the remainder of the longer run can be put back on top.
    """
    left, right = list(reversed(first)), list(reversed(second))
    while left and right:
        count = min(left[-1][0], right[-1][0])
        yield count, left[-1][1], right[-1][1]
        for side in (left, right):
            pages, state = side.pop()
            if pages > count:
                side.append((pages - count, state))


def _merged(runs: Iterator[Run]) -> Iterator[Run]:
    total, current = 0, ""
    for count, state in runs:
        if state != current and total:
            yield total, current
            total = 0
        total, current = total + count, state
    if total:
        yield total, current


def _map(first: Record, parts: list[Run], took: object) -> PageMap:
    label = first.get("label")
    return PageMap(
        time=float(first["t"]),
        label=label if isinstance(label, str) else "",
        program=str(first.get("program") or ""),
        comm=str(first.get("comm") or ""),
        pid=first["pid"],
        start=int(str(first["start"]), 16),
        page_size=first["page_size"],
        runs=tuple(_merged(iter(parts))),
        took=float(took) if isinstance(took, int | float) else None,
        periodic=first.get("periodic") is True,
    )


def _has_the_frame(record: Record) -> bool:
    try:
        start = int(str(record.get("start")), 16)
    except ValueError:
        return False
    size, pid = record.get("page_size"), record.get("pid")
    return start >= 0 and isinstance(size, int) and 0 < size <= 1 << 30 and isinstance(pid, int)


def _runs(record: Record) -> list[Run] | None:
    runs = record.get("runs")
    if not isinstance(runs, list):
        return None
    found: list[Run] = []
    for run in runs:
        # type() and not isinstance(): JSON's true is an int for isinstance().
        if not (
            isinstance(run, list) and len(run) == 2 and type(run[0]) is int and run[0] > 0 and run[1] in PAGE_STATES
        ):
            return None
        # A page that is kept is private too, and it is drawn as one.
        found.append((run[0], "private" if run[1] == "kept" else run[1]))
    return found
