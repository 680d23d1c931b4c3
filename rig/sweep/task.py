# SPDX-License-Identifier: MIT
"""Describe one run of one point, so that another process can execute it, and pack its result."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import rig
from rig.branch.sharing import Pasts, SharedPast, shared_pasts
from rig.errors import RigError
from rig.experiment.request import Request
from rig.experiment.run import run_scenario
from rig.image.store import Store
from rig.run.directory import runs_directory
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario
from rig.sweep.row import Row, row_of_error, row_of_run
from rig.untar import extract_files

__all__ = ["PointTask", "common_pasts", "pack_run", "rig_version", "run_point", "unpack_run"]


@dataclass(frozen=True)
class PointTask:
    """One run of one point.

    scenario: a name, or a directory that the worker can read.
    sets: all settings, as NAME=VALUE.
    settings: (name, value) of the axes alone.
    memory: memory that the guest may take on the host, in bytes.
    """

    point: int
    repeat: int
    scenario: str
    sets: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    memory: int
    record: bool = False
    timeout_scale: float = 1.0

    @property
    def key(self) -> tuple[int, int]:
        return (self.point, self.repeat)


@cache
def rig_version() -> str:
    """Return the version with a hash of the source files, because two checkouts of one version may differ."""
    root = Path(rig.__file__).parent
    digest = sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{rig.__version__}+{digest.hexdigest()[:12]}"


def common_pasts(store: Store, tasks: Sequence[PointTask]) -> dict[tuple[int, int], SharedPast]:
    """Return key of a task -> the past that it has in common with others of its sweep."""
    if not tasks:
        return {}
    try:
        found = shared_pasts(store, load_scenario(tasks[0].scenario), [task.sets for task in tasks])
    except RigError:
        # A scenario or layer that cannot be had: each run then says so itself.
        return {}
    return {tasks[number].key: past for number, past in found.items()}


async def run_point(
    task: PointTask, store: Store | None = None, worker: str = "", pasts: Pasts | None = None
) -> tuple[Row, Path | None]:
    """Run a task; return its row, and the run's directory or None if it did not start.

    pasts: the pasts that tasks share, by their keys.
    A RigError does not propagate: it becomes a row with the verdict `error`.
    """
    request = Request(task.scenario, task.sets, record=task.record, dump_panics=False, timeout_scale=task.timeout_scale)
    try:
        future = None if pasts is None else await pasts.run(task.key, task.sets)
        if future is not None:
            return row_of_run(future.run, *task.key, dict(task.settings), worker), future.directory
        run, directory = await run_scenario(request, NullProgress(), store)
    except RigError as error:
        return row_of_error(error, *task.key, dict(task.settings), worker), None
    return row_of_run(run, *task.key, dict(task.settings), worker), directory


def pack_run(directory: Path) -> bytes:
    """Return a run's directory as a gzip-compressed tar archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(directory, arcname=directory.name)
    return packed.getvalue()


def unpack_run(packed: bytes, run: str) -> Path:
    """Unpack a run from a worker into the directory of runs, and return its directory.

    The archive is untrusted input: raises RigError if it holds anything outside of the directory `run`.
    """
    root = runs_directory()
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive.getmembers():
            if Path(member.name).parts[:1] != (run,):
                raise RigError(f"the archive of run {run} holds {member.name!r}", where="worker")
        extract_files(archive, root)
    return root / run
