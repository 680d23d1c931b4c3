# SPDX-License-Identifier: MIT
"""Give each process of a run a name that is its own.

Two processes may have one comm: two programs that run one executable, or the workers of a pool. A process is therefore
known by its program and its pid, and its name has as much of both as tells it from the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rig.run.records import Record, Records

__all__ = ["Process", "process_key", "process_names"]

Process = tuple[str, int]
"""Program and pid."""


def process_key(row: Mapping[str, Any]) -> Process:
    """Return the program and pid of a row of a sample, or of a record of one process."""
    pid = row.get("pid")
    return str(row.get("program") or ""), pid if type(pid) is int else 0


def process_names(records: Records) -> dict[Process, str]:
    """Return a name for each process of the samples and spawns, in the order of their first record.

    It is the last comm that the process had (`child`); `PROGRAM/COMM` if another program has a process of that comm,
    unless both words are the same; and with the pid after it if that is still the name of two.
    """
    comms: dict[Process, str] = {}
    for record in records.items:
        for row in _rows(record):
            key = process_key(row)
            comm = str(row.get("comm") or "")[:16]
            if comm or key not in comms:
                comms[key] = comm or key[0][:16]
    return _told_apart(comms)


def _told_apart(comms: Mapping[Process, str]) -> dict[Process, str]:
    programs: dict[str, set[str]] = defaultdict(set)
    for (program, _pid), comm in comms.items():
        programs[comm].add(program)
    names = {
        key: f"{key[0]}/{comm}" if len(programs[comm]) > 1 and key[0] != comm else comm for key, comm in comms.items()
    }
    count: dict[str, int] = defaultdict(int)
    for name in names.values():
        count[name] += 1
    return {key: f"{name} ({key[1]})" if count[name] > 1 else name for key, name in names.items()}


def _rows(record: Record) -> Iterator[Mapping[str, Any]]:
    found: Iterable[Any] = ()
    if record["ev"] == "spawn":
        found = (record,)
    elif record["ev"] == "sample" and isinstance(record.get("procs"), list):
        found = record["procs"]
    return (row for row in found if isinstance(row, Mapping) and type(row.get("pid")) is int)
