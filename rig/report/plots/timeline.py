# SPDX-License-Identifier: MIT
"""The timeline as data, independent of how it is drawn: panels of series over the guest's time, and marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rig.klog.oom.oom_event import OomEvent
from rig.report.plots.timescale import TimeScale, time_scale
from rig.run.document import Run
from rig.run.process_names import process_key, process_names
from rig.run.records import Records
from rig.sanitize import plain
from rig.telemetry.holders import Held, held
from rig.telemetry.timeline import Row, rows

__all__ = ["Limit", "Mark", "Panel", "Series", "Timeline", "timeline"]

MOST_SAMPLES = 600
MOST_MARKS = 14
MOST_WORK = 60
Value = float | None


@dataclass(frozen=True)
class Series:
    """A name, and a value for each of the timeline's times; None at a time without one."""

    name: str
    values: tuple[Value, ...]
    kind: str = ""
    """What it is, where a drawing gives that its own look: `free`, `kernel`, `cache`."""


@dataclass(frozen=True)
class Limit:
    """A constant level, such as a watermark."""

    name: str
    value: float


@dataclass(frozen=True)
class Panel:
    """One picture of the timeline. Stacked series add up; log: the scale is logarithmic; stepped: a value holds
    for the time since the sample before."""

    id: str
    title: str
    unit: str
    series: tuple[Series, ...]
    stacked: bool = False
    log: bool = False
    stepped: bool = False
    limits: tuple[Limit, ...] = ()
    note: str = ""

    @property
    def top(self) -> float:
        """The largest value that the scale must hold."""
        if self.stacked:
            sums = [
                sum(value or 0 for value in column) for column in zip(*(s.values for s in self.series), strict=True)
            ]
            return max(sums, default=0) or 1
        values = [value for series in self.series for value in series.values if value is not None]
        return max([*values, *(limit.value for limit in self.limits)], default=0) or 1

    @property
    def bottom(self) -> float:
        """The smallest value above 0, for logarithmic scales."""
        values = [value for series in self.series for value in series.values if value]
        return min([*values, *(limit.value for limit in self.limits if limit.value)], default=1)


@dataclass(frozen=True)
class Mark:
    """A moment with a name: a `step` of the scenario, the `oom`, or an `exit` by a signal."""

    time: float
    label: str
    kind: Literal["step", "oom", "exit"]


@dataclass(frozen=True)
class Timeline:
    """All panels and marks of a run.

    times: the samples' times in guest seconds.
    work: when a program reported a step of its own.
    """

    times: tuple[float, ...]
    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...]
    work: tuple[tuple[float, str], ...]
    scale: TimeScale
    clock: str
    left_out: int = 0

    @property
    def places(self) -> tuple[float, ...]:
        return tuple(self.scale.place(time) for time in self.times)


def timeline(run: Run, records: Records, oom: OomEvent | None) -> Timeline | None:
    """Return the timeline of a run, or None for a run without a sample. oom: the OOM report, for its watermarks."""
    table, shares = list(rows(records)), {each.time: each for each in held(records)}
    kept = _thinned(table)
    if not kept:
        return None
    marks = _marks(records, oom)
    start = kept[0]["t"]
    end = max([float(records.items[-1]["t"]), float(kept[-1]["t"] or 0), *(mark.time for mark in marks)])
    scale = time_scale(float(start or 0), end, [mark.time for mark in marks])
    panels = [
        _holders([shares.get(float(row["t"] or 0)) for row in kept]),
        _free(kept, oom),
        _commit(kept, run),
        _faults(kept),
        _lines(
            "psi",
            "Pressure: share of the last 10 s in which tasks waited for memory",
            "%",
            kept,
            {"psi_some_avg10": "some task waited", "psi_full_avg10": "all waited"},
        ),
        _lines(
            "heartbeat",
            "Heartbeat: share of the time by which its beats were late",
            "%",
            kept,
            {"heartbeat_late": "late"},
        ),
    ]
    return Timeline(
        times=tuple(float(row["t"] or 0) for row in kept),
        panels=tuple(panel for panel in panels if any(v is not None for s in panel.series for v in s.values)),
        marks=tuple(marks),
        work=_work(records),
        scale=scale,
        clock=_clock(run),
        left_out=len(table) - len(kept),
    )


def _clock(run: Run) -> str:
    host = "" if run.host_seconds is None else f"; the whole run took {run.host_seconds:.1f} s on the host's clock"
    if run.environment.clock == "warp":
        return f"warp: the guest's own seconds, which jump over idleness{host}"
    return f"live: the guest's seconds are the host's{host}"


def _thinned(table: Sequence[Row]) -> list[Row]:
    """Return at most MOST_SAMPLES rows; labelled rows are kept."""
    if len(table) <= MOST_SAMPLES:
        return list(table)
    every = -(-len(table) // (MOST_SAMPLES // 2))
    labelled = [index for index, row in enumerate(table) if row["label"]][: MOST_SAMPLES // 2]
    return [table[index] for index in sorted({*range(0, len(table), every), *labelled, len(table) - 1})]


def _holders(shares: Sequence[Held | None]) -> Panel:
    names = dict.fromkeys(name for each in shares if each for name in each.parts)
    order = [name for name in names if name != "free"] + ["free"]
    kinds = {"free": "free", "page cache": "cache", "kernel and the rest": "kernel"}
    return Panel(
        "memory",
        "Memory by holder",
        "MB",
        tuple(
            Series(
                plain(name, longest=60),
                tuple(None if each is None else _mb(each.parts.get(name, 0)) for each in shares),
                kinds.get(name, ""),
            )
            for name in order
            if any(each and each.parts.get(name, 0) >= 512 for each in shares)
        ),
        stacked=True,
        note="Shared is what the two map together and the kernel holds once."
        if any(name.endswith(", shared") for name in names)
        else "",
    )


def _free(table: Sequence[Row], oom: OomEvent | None) -> Panel:
    limits: list[Limit] = []
    if oom is not None and oom.zones:
        for name in ("min", "low", "high"):
            limits.append(Limit(f"watermark {name}", _mb(sum(getattr(zone, name) for zone in oom.zones)) or 0))
    free, available = _column(table, "free_kb", 1024), _column(table, "available_kb", 1024)
    return Panel(
        "free",
        "Free memory against the watermarks",
        "MB",
        (Series("free", free), Series("available", available)),
        log=True,
        limits=tuple(limits),
        note="Watermarks are the sums over the zones of the OOM report." if limits else "",
    )


def _commit(table: Sequence[Row], run: Run) -> Panel:
    charge, limit = _column(table, "committed_as_kb", 1024), _column(table, "commit_limit_kb", 1024)
    return Panel(
        "commit",
        "Commit charge: what has been promised",
        "MB",
        (Series("Committed_AS", charge), Series("CommitLimit", limit)),
        note=_mode(run.sysctls.get("vm.overcommit_memory")),
    )


def _mode(mode: str | None) -> str:
    if mode == "2":
        return "vm.overcommit_memory=2: CommitLimit binds."
    here = "the kernel's own mode, 0" if mode is None else plain(mode, longest=8)
    return f"CommitLimit binds only with vm.overcommit_memory=2; here it is {here}."


def _faults(table: Sequence[Row]) -> Panel:
    """Return the panel of faults. The scale is logarithmic if filling an array dwarfs the faults of the later steps."""
    values = _column(table, "pgfault_per_s")
    there = sorted(value for value in values if value)
    log = bool(there) and there[-1] > 100 * there[len(there) // 2]
    # Count less than one fault in a thousand seconds as none.
    values = tuple(None if value is None else value if value >= 1e-3 else 0.0 for value in values)
    note = "Logarithmic; no fault at all lies on the bottom line." if log else ""
    return Panel("faults", "Page faults", "a second", (Series("faults", values),), log=log, stepped=True, note=note)


def _lines(id_: str, title: str, unit: str, table: Sequence[Row], names: dict[str, str]) -> Panel:
    return Panel(id_, title, unit, tuple(Series(name, _column(table, column)) for column, name in names.items()))


def _column(table: Sequence[Row], name: str, divided_by: float = 1) -> tuple[Value, ...]:
    values = [row.get(name) for row in table]
    return tuple(value / divided_by if isinstance(value, int | float) else None for value in values)


def _marks(records: Records, oom: OomEvent | None) -> list[Mark]:
    found: dict[str, Mark] = {}
    names = process_names(records)
    if oom is not None and oom.time is not None and not records.of("oom"):
        # On a panic the agent cannot record the OOM any more; the kernel log has its time, on the same clock.
        found["oom"] = Mark(oom.time, "OOM", "oom")
    for record in records.items:
        time = float(record["t"])
        label = record.get("label") if record["ev"] == "sample" else record.get("name")
        if record["ev"] in ("sample", "mark") and isinstance(label, str) and label and label != "oom":
            found.setdefault(label, Mark(time, plain(label, longest=24), "step"))
        elif record["ev"] == "oom":
            found.setdefault(f"oom {len(found)}", Mark(time, "OOM", "oom"))
        elif record["ev"] == "exit" and isinstance(record.get("signal"), str):
            of = names.get(process_key(record)) or record.get("comm") or record.get("program") or "?"
            name = plain(of, longest=32)
            found.setdefault(f"exit {len(found)}", Mark(time, f"{name} killed", "exit"))
    marks = sorted(found.values(), key=lambda mark: mark.time)
    ooms = [mark for mark in marks if mark.kind == "oom"][:4]
    others = [mark for mark in marks if mark.kind != "oom"][: MOST_MARKS - len(ooms)]
    return sorted([*ooms, *others], key=lambda mark: mark.time)


def _work(records: Records) -> tuple[tuple[float, str], ...]:
    lines = [
        (float(line["t"]), plain(str(line["text"]), longest=40))
        for line in records.of("line")
        if str(line.get("text", "")).startswith("step ")
    ]
    every = -(-len(lines) // MOST_WORK) if lines else 1
    return tuple(lines[every - 1 :: every])


def _mb(kb: int | None) -> Value:
    return None if kb is None else kb / 1024
