# SPDX-License-Identifier: MIT
"""Stalls: spans in which programs got nothing done for want of memory, and why.

A program that is throttled or thrashes is not killed and prints nothing; to its user it has frozen. The kernel counts
how long all tasks of the guest, or of a cgroup, waited for memory at once (`full` of PSI,
Documentation/accounting/psi.rst). Where that is half of the time or more, for two seconds or more, the run has a stall.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rig.run.document import Stall
from rig.run.records import Record, Records

__all__ = ["find_stalls"]

SHARE = 0.5
"""Of the time between two samples."""
SHORTEST = 2.0
"""Guest seconds."""
SOME = 50
"""Pages a second: less swapping or refaulting than that is no cause."""
EFFICIENT = 0.1
"""Pages reclaimed a page scanned, under which reclaim makes no progress."""


@dataclass
class _Span:
    """Samples next to each other between which the programs were stalled."""

    begin: float
    end: float
    waited: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)


def find_stalls(records: Records) -> tuple[Stall, ...]:
    """Return the stalls of a run, in order: of the cgroup that the samples tell of, else of the whole guest."""
    return tuple(_stall(span) for span in _spans(records.of("sample")) if span.end - span.begin >= SHORTEST)


def _spans(samples: Sequence[Record]) -> Iterator[_Span]:
    span: _Span | None = None
    for before, after in pairwise(samples):
        length = after["t"] - before["t"]
        waited = (_waited(after) - _waited(before)) / 1e6
        if length <= 0 or waited < SHARE * length:
            if span is not None:
                yield span
            span = None
            continue
        span = span or _Span(before["t"], after["t"])
        span.end = after["t"]
        span.waited += waited
        for name, value in _counts(after).items():
            span.counts[name] = span.counts.get(name, 0) + value - _counts(before).get(name, value)
    if span is not None:
        yield span


def _stall(span: _Span) -> Stall:
    length = span.end - span.begin
    return Stall(begin=span.begin, length=length, share=min(span.waited / length, 1.0), cause=_cause(span, length))


def _cause(span: _Span, length: float) -> Any:
    counts = span.counts
    swapped = counts.get("pswpin", 0)
    refaulted = counts.get("refault", 0)
    if max(swapped, refaulted) >= SOME * length:
        return "swapping" if swapped >= refaulted else "thrashing"
    if counts.get("high", 0) > 0:
        return "throttled"
    if counts.get("scan", 0) > 0 and counts.get("steal", 0) < EFFICIENT * counts["scan"]:
        return "no-progress"
    return "io"


def _waited(sample: Record) -> float:
    """Microseconds in which all tasks waited for memory, since the boot."""
    group = _inner(sample, "cgroup")
    pressure = _inner(group, "psi") or _inner(sample, "psi")
    return _number(_inner(pressure, "full").get("total"))


def _counts(sample: Record) -> dict[str, float]:
    vmstat, events = _inner(sample, "vmstat"), _inner(_inner(sample, "cgroup"), "events")

    def total(prefix: str) -> float:
        return sum(_number(value) for name, value in vmstat.items() if str(name).startswith(prefix))

    # Refaults of file pages have a field of their own since Linux 5.9; before, anonymous pages had none.
    refault = vmstat.get("workingset_refault_file", vmstat.get("workingset_refault"))
    return {
        "pswpin": _number(vmstat.get("pswpin")),
        "refault": _number(refault),
        # pgscan_kswapd and pgscan_direct; the others say the same by kind of page or by what asked.
        "scan": total("pgscan_kswapd") + total("pgscan_direct"),
        "steal": total("pgsteal_kswapd") + total("pgsteal_direct"),
        "high": _number(events.get("high")),
    }


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
