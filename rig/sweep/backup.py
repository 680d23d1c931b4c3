# SPDX-License-Identifier: MIT
"""Choose which runs at the end of a sweep are begun a second time, on a host that is quicker.

Without that, a sweep over several hosts ends when the slowest of them has done its last run, while the others are idle.
MapReduce calls such copies backup tasks (Dean and Ghemawat 2004, section 3.6). Here they are begun only where the run's
host was seen to be slower, so that hosts that are alike run nothing twice.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Backup", "Pace", "backups"]

SLOWER = 1.5
"""How many times as long a run must take on a host as on the idle one to be begun there too."""


@dataclass
class Pace:
    """How long runs take on each host, in host seconds. A host is what stands before the port of a worker's address."""

    _took: dict[str, list[float]] = field(default_factory=dict)

    def add(self, worker: str, seconds: float) -> None:
        """Note that a run took so long on a worker."""
        self._took.setdefault(host_of(worker), []).append(seconds)

    def of(self, worker: str) -> float | None:
        """Return the median of the worker's host; None where no run has ended there."""
        took = self._took.get(host_of(worker))
        return statistics.median(took) if took else None


@dataclass(frozen=True)
class Backup:
    """A run, by its key, to be begun on one more worker."""

    key: str
    worker: str


def host_of(worker: str) -> str:
    """Return the host of a worker's address, such as tcp://10.0.0.2:41233."""
    return urlsplit(worker).hostname or worker


def backups(
    running: Mapping[str, Sequence[str]],
    threads: Mapping[str, int],
    undone: Collection[str],
    pace: Pace,
    lasted: float,
) -> list[Backup]:
    """Return the copies to begin now; none while a run waits for a worker.

    running: worker -> keys of what it has been given, of copies too.
    threads: worker -> number of runs that it executes at once.
    undone: keys of the runs that have no result and no copy yet.
    lasted: host seconds since the sweep began, for a host on which no run has ended yet.
    """
    given = {key: worker for worker, keys in running.items() for key in keys if key in undone}
    if given.keys() != set(undone):
        return []
    idle = [
        (seconds, worker)
        for worker in threads
        if (seconds := pace.of(worker)) is not None
        for _ in range(threads[worker] - len(running.get(worker, ())))
    ]
    # The run on the slowest host first, and the quickest of the idle workers for it.
    slowest = sorted(given, key=lambda key: -(pace.of(given[key]) or lasted))
    chosen = []
    for key, (seconds, worker) in zip(slowest, sorted(idle), strict=False):
        there = given[key]
        if host_of(worker) != host_of(there) and (pace.of(there) or lasted) > SLOWER * seconds:
            chosen.append(Backup(key, worker))
    return chosen
