# SPDX-License-Identifier: MIT
"""Samples as table rows: the content of timeline.csv and the input of the plots and the live view."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rig.run.process_names import Process, process_key, process_names
from rig.run.records import Record, Records
from rig.sanitize import for_spreadsheet

__all__ = ["COLUMNS", "PROCESS_COLUMNS", "Row", "columns", "rows", "write_timeline"]

Row = dict[str, int | float | str | None]

# Columns of the guest as a whole. Sizes are in kB, psi in percent of the last 10 s (avg10), pgfault in faults a
# second since the previous row, and heartbeat_late in percent of the time since the previous row.
COLUMNS = (
    "t", "step", "label", "free_kb", "available_kb", "committed_as_kb", "commit_limit_kb", "cached_kb", "anon_kb",
    "page_tables_kb", "swap_free_kb", "psi_some_avg10", "psi_full_avg10", "pgfault_per_s", "oom_kill", "heartbeat_late",
)  # fmt: skip
MEMINFO = {
    "free_kb": "MemFree", "available_kb": "MemAvailable", "committed_as_kb": "Committed_AS",
    "commit_limit_kb": "CommitLimit", "cached_kb": "Cached", "anon_kb": "AnonPages",
    "page_tables_kb": "PageTables", "swap_free_kb": "SwapFree",
}  # fmt: skip
# Columns of each role; the header is `ROLE.NAME`, for example `parent.rss_kb`.
PROCESS_COLUMNS = ("rss_kb", "anon_kb", "swap_kb", "pgtables_kb", "minflt", "oom_score")
MOST_ROLES = 64


def rows(records: Records) -> Iterator[Row]:
    """Yield one row per sample.

    A value that the guest did not report, or reported with another type, is None.
    step: index of the plan's step that was running.
    Each process has columns of its own, under its name (rig/run/process_names.py).
    """
    step, names = 0, process_names(records)
    before: tuple[float, int] | None = None
    beat: tuple[float, float] | None = None
    for record in records.items:
        if record["ev"] == "step" and isinstance(record.get("i"), int):
            step = record["i"] + 1
        if record["ev"] != "sample":
            continue
        row = _guest(record, step)
        faults = _number(_inner(record, "vmstat").get("pgfault"))
        if before is not None and isinstance(faults, int) and record["t"] > before[0]:
            row["pgfault_per_s"] = round((faults - before[1]) / (record["t"] - before[0]), 3)
        if isinstance(faults, int):
            before = (float(record["t"]), faults)
        late = _late(record)
        if late is not None and beat is not None and record["t"] > beat[0]:
            row["heartbeat_late"] = round(100 * (late - beat[1]) / (record["t"] - beat[0]), 1)
        beat = None if late is None else (float(record["t"]), late)
        row.update(_processes(record, names))
        yield row


def columns(table: Sequence[Row]) -> list[str]:
    """Return the names of the columns: the guest's, then each role's in the order of appearance."""
    roles = dict.fromkeys(name for row in table for name in row if name not in COLUMNS)
    return [*COLUMNS, *roles]


def write_timeline(records: Records, path: Path) -> int:
    """Write timeline.csv and return the number of its rows."""
    table = list(rows(records))
    with path.open("w", newline="", encoding="utf-8") as file:
        names = columns(table)
        writer = csv.writer(file)
        # Roles and labels come from the guest: a spreadsheet could run them as formulas.
        writer.writerow([for_spreadsheet(name) for name in names])
        for row in table:
            values = (row.get(name, "") for name in names)
            writer.writerow([for_spreadsheet(value) if isinstance(value, str) else value for value in values])
    return len(table)


def _guest(record: Record, step: int) -> Row:
    meminfo, vmstat, psi = (_inner(record, name) for name in ("meminfo", "vmstat", "psi"))
    label = record.get("label")
    row: Row = {"t": record["t"], "step": step, "label": label if isinstance(label, str) else ""}
    row |= {column: _number(meminfo.get(field)) for column, field in MEMINFO.items()}
    for kind in ("some", "full"):
        row[f"psi_{kind}_avg10"] = _number(_inner(psi, kind).get("avg10"))
    return row | {"pgfault_per_s": None, "oom_kill": _number(vmstat.get("oom_kill")), "heartbeat_late": None}


def _late(record: Record) -> float | None:
    """Return how many seconds the stages of the heartbeat took since its start; None without a heartbeat."""
    heartbeat = _inner(record, "heartbeat")
    stages = [_number(heartbeat.get(stage)) for stage in ("timer", "pages", "file")]
    try:
        return sum(float(stage) for stage in stages if stage is not None) if heartbeat else None
    except OverflowError:
        return None


def _processes(record: Record, names: Mapping[Process, str]) -> Row:
    return {
        f"{role}.{field}": _number(proc.get(field)) for role, proc in _roles(record, names) for field in PROCESS_COLUMNS
    }


def _roles(record: Record, names: Mapping[Process, str]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    procs = record.get("procs")
    rows = [proc for proc in procs if isinstance(proc, Mapping)] if isinstance(procs, list) else []
    for proc in rows[:MOST_ROLES]:
        key = process_key(proc)
        yield names.get(key, str(proc.get("comm") or key[0])[:16]), proc


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
