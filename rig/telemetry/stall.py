# SPDX-License-Identifier: MIT
"""Stalls: spans in which programs made no progress because they waited for memory, with the cause and who waited.

A program that is throttled or thrashes is neither killed nor prints anything; to its user it looks frozen. A stall is a
span of at least SHORTEST seconds of which one of three sources says that at least SHARE was lost:

- PSI of memory: all non-idle tasks of the guest, or of a cgroup, waited for memory at once (`full`,
  Documentation/accounting/psi.rst).
- PSI of I/O, where most of what was read had been in memory before. PSI of memory counts a refault only of a page that
  was active when it was reclaimed (folio_test_workingset() in folio_wait_bit_common(), mm/filemap.c), so that a program
  which reads a file larger than its memory again and again stalls without a sign of it there.
- The agent's heartbeat: the time that fresh pages, or pages of the disk, took it. It needs no PSI, which Debian 11's
  kernel has switched off.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rig.run.document import Stall
from rig.run.process_names import process_key
from rig.run.records import Record, Records

__all__ = ["find_stalls"]

SHARE = 0.5
"""The fraction of the time between two samples from which on the span counts as stalled."""
SHORTEST = 2.0
"""The shortest stall that is reported, in guest seconds."""
SOME = 50
"""Pages a second: a lower rate of swapping or refaults is not named as the cause."""
EFFICIENT = 0.1
"""Reclaimed pages per scanned page (pgsteal/pgscan): below this ratio, reclaim makes no progress."""
AGAIN = 0.5
"""Refaulted bytes per byte that was read: from this ratio on, a wait for I/O is a wait for memory."""
READ_AT_ONCE = 1024
"""KiB: intervals in which less was read are judged together with the next ones, for whose pages they waited.

A slow disk answers a large request after seconds in which nothing seems to be read: Linux 7.2 asks for 4 to 8 MB of a
file at once.
"""
PAGE_KB = 4
MEMORY, IO, HEARTBEAT = "memory pressure", "I/O pressure", "heartbeat"


@dataclass
class _Span:
    """Consecutive samples between which the programs were stalled."""

    begin: float
    end: float
    waited: dict[str, float] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    waiting: dict[str, float] = field(default_factory=dict)

    def add(self, before: Record, after: Record, counts: Mapping[str, float], waited: Mapping[str, float]) -> None:
        self.end = after["t"]
        _add(self.waited, waited)
        _add(self.counts, counts)
        _add(self.waiting, _waiting(before, after))


def find_stalls(records: Records) -> tuple[Stall, ...]:
    """Return the stalls of a run in order: those of the sampled cgroup, or without one, of the whole guest."""
    return tuple(_stall(span) for span in _spans(records.of("sample")) if span.end - span.begin >= SHORTEST)


def _spans(samples: Sequence[Record]) -> Iterator[_Span]:
    span: _Span | None = None
    grown = [_grown(before, after) for before, after in pairwise(samples)]
    for (before, after), counts, again in zip(pairwise(samples), grown, _read_again(grown), strict=True):
        length = after["t"] - before["t"]
        waited = _waited(before, after, again=again)
        if length <= 0 or max(waited.values()) < SHARE * length:
            if span is not None:
                yield span
            span = None
            continue
        span = span or _Span(before["t"], after["t"])
        span.add(before, after, counts, waited)
    if span is not None:
        yield span


def _stall(span: _Span) -> Stall:
    length = span.end - span.begin
    source, waited = max(span.waited.items(), key=lambda item: item[1])
    who = max(span.waiting.items(), key=lambda item: item[1], default=None)
    return Stall(
        begin=span.begin,
        length=length,
        share=min(waited / length, 1.0),
        cause=_cause(span, length, source),
        by=source,
        who=who[0] if who is not None and who[1] > 0 else "",
    )


def _cause(span: _Span, length: float, source: str) -> Any:
    counts = span.counts
    swapped = counts.get("pswpin", 0)
    refaulted = counts.get("refault", 0)
    if source == IO and swapped < refaulted:
        return "thrashing"
    if max(swapped, refaulted) >= SOME * length:
        return "swapping" if swapped >= refaulted else "thrashing"
    if counts.get("high", 0) > 0:
        return "throttled"
    if counts.get("scan", 0) > 0 and counts.get("steal", 0) < EFFICIENT * counts["scan"]:
        return "no-progress"
    return "io"


def _read_again(grown: Sequence[Mapping[str, float]]) -> list[bool]:
    """Return for each interval whether most of what it read, or waited for, had been in memory before.

    grown: the growth of the counters in each interval.
    """
    found: list[bool] = []
    group, refault, read = 0, 0.0, 0.0
    for counts in grown:
        group, refault, read = group + 1, refault + counts["refault"], read + counts["read_kb"]
        if read >= READ_AT_ONCE:
            found += [PAGE_KB * refault >= AGAIN * read] * group
            group, refault, read = 0, 0.0, 0.0
    # What the last ones waited for did not come any more: it is taken for more of the same.
    last = found[-1] if found else read > 0 and PAGE_KB * refault >= AGAIN * read
    return found + [last] * group


def _waited(before: Record, after: Record, *, again: bool) -> dict[str, float]:
    """Return how many seconds of the span between two samples were lost, by source.

    again: whether what it read, or waited for, had been in memory before.
    """
    late = {name: max(0.0, _late(after, name) - _late(before, name)) for name in ("pages", "file")}
    return {
        MEMORY: (_full(after, "psi") - _full(before, "psi")) / 1e6,
        IO: (_full(after, "psi_io") - _full(before, "psi_io")) / 1e6 if again else 0.0,
        HEARTBEAT: late["pages"] + (late["file"] if again else 0.0),
    }


def _full(sample: Record, kind: str) -> float:
    """Return the microseconds since boot in which all tasks waited (PSI `full`, total)."""
    pressure = _inner(_inner(sample, "cgroup"), kind) or _inner(sample, kind)
    return _number(_inner(pressure, "full").get("total"))


def _late(sample: Record, stage: str) -> float:
    """Return the seconds that this stage of the heartbeat has taken since its start."""
    return _number(_inner(sample, "heartbeat").get(stage))


def _waiting(before: Record, after: Record) -> dict[str, float]:
    """Return by comm how much its processes waited.

    A sample in state D counts most, then the major faults between the two samples. A shell's loop starts a process of
    the same comm again and again, so that a pid would say little.
    """
    earlier = {process_key(row): _number(row.get("majflt")) for row in _processes(before)}
    found: dict[str, float] = {}
    for row in _processes(after):
        faults = _number(row.get("majflt"))
        waited = (row.get("state") == "D") + max(0.0, faults - earlier.get(process_key(row), faults)) / 1e6
        _add(found, {str(row.get("comm") or "")[:16]: waited})
    return found


def _processes(sample: Record) -> list[Mapping[str, Any]]:
    rows = sample.get("procs")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _grown(before: Record, after: Record) -> dict[str, float]:
    earlier = _counts(before)
    return {name: value - earlier[name] for name, value in _counts(after).items()}


def _counts(sample: Record) -> dict[str, float]:
    vmstat, events = _inner(sample, "vmstat"), _inner(_inner(sample, "cgroup"), "events")

    def total(prefix: str) -> float:
        return sum(_number(value) for name, value in vmstat.items() if str(name).startswith(prefix))

    # Linux 5.9 split workingset_refault into _anon and _file; before, it counted refaults of file pages alone.
    refault = vmstat.get("workingset_refault_file", vmstat.get("workingset_refault"))
    return {
        "pswpin": _number(vmstat.get("pswpin")),
        "refault": _number(refault),
        # In KiB, unlike the counters of pages (vmstat_start() of mm/vmstat.c).
        "read_kb": _number(vmstat.get("pgpgin")),
        # Other pgscan_* counters (pgscan_anon, pgscan_file) count the same pages again by type.
        "scan": total("pgscan_kswapd") + total("pgscan_direct"),
        "steal": total("pgsteal_kswapd") + total("pgsteal_direct"),
        "high": _number(events.get("high")),
    }


def _add(to: dict[Any, float], more: Mapping[Any, float]) -> None:
    for name, value in more.items():
        to[name] = to.get(name, 0.0) + value


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    try:
        return float(value)
    except OverflowError:
        return 0.0
