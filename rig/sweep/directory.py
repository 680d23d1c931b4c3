# SPDX-License-Identifier: MIT
"""Manage a sweep's directory: its plan, the journal of finished runs, and the table of results."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.disk import modified
from rig.errors import RigError, UsageError
from rig.locked_directory import try_lock
from rig.remove_tree import make_directory
from rig.run.directory import SWEEPS, new_run_id, runs_directory
from rig.seal import is_sealed, seal, seal_is_broken
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.journal import read_rows
from rig.sweep.row import Row
from rig.whole_file import sync_directory, write_whole

__all__ = [
    "FRONTIER",
    "PLAN_VERSION",
    "SweepDirectory",
    "find_sweep",
    "list_sweeps",
    "new_sweep",
    "sweeps_directory",
    "write_plan",
]

logger = logging.getLogger(__name__)
PLAN_VERSION = 1
PLAN = "sweep.json"
JOURNAL = "rows.jsonl"
TABLE = "results.parquet"
FRONTIER = "frontier.json"
LOCK = ".lock"


def sweeps_directory() -> Path:
    """Return the directory of all sweeps: `sweeps` in the directory of runs."""
    return runs_directory() / SWEEPS


@dataclass(frozen=True)
class SweepDirectory:
    """A sweep's directory: sweep.json, rows.jsonl (one finished run a line) and results.parquet.

    sealed: whether sweep.json has a seal. Earlier versions wrote none.
    """

    path: Path
    plan: SweepPlan
    sealed: bool = True

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / JOURNAL

    @property
    def table(self) -> Path:
        return self.path / TABLE

    @property
    def is_search(self) -> bool:
        """Whether it is a threshold search. Of one that an earlier rig made, only frontier.json may say so."""
        return self.plan.searched or (self.path / FRONTIER).exists()

    def rows(self) -> Sequence[Row]:
        """Return the rows of the finished runs, by point and repeat. Log if damage of them could not be noticed."""
        rows = read_rows(self.journal)
        if rows.unsealed or not self.sealed:
            logger.warning("sweep %s was made by an earlier rig: whether its tables are damaged is not known", self.id)
        return rows

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the sweep, because two processes would run its points twice.

        Raises UsageError when another process holds it.
        """
        descriptor = os.open(self.path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if not try_lock(descriptor):
                raise UsageError("another rig process is running this sweep", where=self.path, remedy="wait for it")
            yield
        finally:
            os.close(descriptor)


def new_sweep(plan: SweepPlan) -> SweepDirectory:
    """Create a sweep's directory. Raises RigError when it cannot be created."""
    path = sweeps_directory() / new_run_id()
    try:
        make_directory(path, lambda path: _make(path, plan))
    except OSError as error:
        raise RigError(f"the sweep's directory cannot be made: {error.strerror}", where=path) from error
    return SweepDirectory(path, plan)


def _make(path: Path, plan: SweepPlan) -> None:
    path.mkdir(parents=True)
    write_plan(path, plan)
    sync_directory(path.parent)


def write_plan(path: Path, plan: SweepPlan) -> None:
    """Write sweep.json in the directory `path` atomically, by a rename."""
    content = {
        "schema_version": PLAN_VERSION,
        "scenario": plan.scenario,
        "axes": [{"name": axis.name, "values": list(axis.values)} for axis in plan.axes],
        "fixed": plan.fixed,
        "extra": plan.extra,
        "repeat": plan.repeat,
        **({"searched": True} if plan.searched else {}),
    }
    write_whole(path / PLAN, (seal(json.dumps(content, indent=2)) + "\n").encode())


def list_sweeps() -> list[Path]:
    """Return the directories of all sweeps, oldest first, with those that have lost their plan."""
    root = sweeps_directory()
    found = {path.parent for name in (PLAN, JOURNAL) for path in root.glob(f"*/{name}")} if root.is_dir() else set()
    # The first 15 characters of an id are date and time; the file's time orders sweeps of the same second.
    return sorted(found, key=lambda path: (path.name[:15], modified(path / PLAN), path.name))


def find_sweep(sweep: str) -> SweepDirectory:
    """Return a sweep by its path, its id, a unique prefix of its id, or `last`.

    Raises UsageError when no sweep, or more than one, matches.
    """
    path = Path(sweep).expanduser()
    if (path / PLAN).is_file() or (path / JOURNAL).is_file():
        return _open(path.resolve())
    directories = list_sweeps()
    if sweep == "last" and directories:
        return _open(directories[-1])
    found = [directory for directory in directories if sweep and directory.name.startswith(sweep)]
    if len(found) == 1:
        return _open(found[0])
    what = f"'{sweep}' matches {len(found)} sweeps" if found else f"there is no sweep '{sweep}'"
    raise UsageError(what, where=sweeps_directory(), remedy="'rig results' without a name lists them")


def _open(path: Path) -> SweepDirectory:
    where = path / PLAN
    try:
        text = where.read_bytes()
        content = json.loads(text)
        version = content["schema_version"]
        if version != PLAN_VERSION:
            raise RigError(
                f"the sweep has schema version {version}, this rig reads {PLAN_VERSION}",
                where=where,
                remedy="use the rig that made it",
            )
        plan = SweepPlan(
            scenario=content["scenario"],
            axes=tuple(Axis(axis["name"], tuple(axis["values"])) for axis in content["axes"]),
            fixed=tuple((name, value) for name, value in content["fixed"]),
            extra=tuple(tuple((name, value) for name, value in point) for point in content["extra"]),
            repeat=content["repeat"],
            searched=content.get("searched") is True,
        )
    except FileNotFoundError:
        raise RigError(
            f"{PLAN} is missing", where=path, remedy=f"{JOURNAL} beside it holds the finished runs"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RigError(
            f"not a sweep: {type(error).__name__}: {error}",
            where=where,
            remedy=f"the file is damaged; {JOURNAL} beside it holds the finished runs",
        ) from None
    if seal_is_broken(text):
        logger.warning("%s was changed after it was written: what it says of the sweep may be wrong", where)
    return SweepDirectory(path, plan, is_sealed(text))
