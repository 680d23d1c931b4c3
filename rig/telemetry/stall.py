# SPDX-License-Identifier: MIT
"""Stalls: spans in which no program made progress because all waited for memory, and the cause.

A program that is throttled or thrashes is neither killed nor prints anything; to its user it looks frozen. PSI counts
how long all non-idle tasks of the guest, or of a cgroup, waited for memory at the same time (`full`,
Documentation/accounting/psi.rst). A stall is a span of at least SHORTEST seconds of which at least SHARE was `full`.
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
"""The fraction of the time between two samples from which on the span counts as stalled."""
SHORTEST = 2.0
"""The shortest stall that is reported, in guest seconds."""
SOME = 50
"""Pages a second: a lower rate of swapping or refaults is not named as the cause."""
EFFICIENT = 0.1
"""Reclaimed pages per scanned page (pgsteal/pgscan): below this ratio, reclaim makes no progress."""


@dataclass
class _Span:
    """Consecutive samples between which the programs were stalled."""

    begin: float
    end: float
    waited: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)


def find_stalls(records: Records) -> tuple[Stall, ...]:
    """Return the stalls of a run in order: those of the sampled cgroup, or without one, of the whole guest."""
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
    """Return the microseconds since boot in which all tasks waited for memory (PSI `full`, total)."""
    group = _inner(sample, "cgroup")
    pressure = _inner(group, "psi") or _inner(sample, "psi")
    return _number(_inner(pressure, "full").get("total"))


def _counts(sample: Record) -> dict[str, float]:
    vmstat, events = _inner(sample, "vmstat"), _inner(_inner(sample, "cgroup"), "events")

    def total(prefix: str) -> float:
        return sum(_number(value) for name, value in vmstat.items() if str(name).startswith(prefix))

    # Linux 5.9 split workingset_refault into _anon and _file; before, it counted refaults of file pages alone.
    refault = vmstat.get("workingset_refault_file", vmstat.get("workingset_refault"))
    return {
        "pswpin": _number(vmstat.get("pswpin")),
        "refault": _number(refault),
        # Other pgscan_* counters (pgscan_anon, pgscan_file) count the same pages again by type.
        "scan": total("pgscan_kswapd") + total("pgscan_direct"),
        "steal": total("pgsteal_kswapd") + total("pgsteal_direct"),
        "high": _number(events.get("high")),
    }


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
