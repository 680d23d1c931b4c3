# SPDX-License-Identifier: MIT
"""One run of one point, as it travels to whoever runs it, and what comes back."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import rig
from rig.errors import RigError
from rig.experiment.run import Request, run_scenario
from rig.image.store import Store
from rig.run.folder import runs_folder
from rig.run.progress import NullProgress
from rig.sweep.row import Row, row_of_error, row_of_run
from rig.untar import extract_files

__all__ = ["PointTask", "pack_run", "rig_version", "run_point", "unpack_run"]


@dataclass(frozen=True)
class PointTask:
    """scenario: a name or a folder that the worker can read; sets: all settings; settings: the axes' alone."""

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
    """Return the version with a hash of the code: two checkouts of one version need not be the same rig."""
    root = Path(rig.__file__).parent
    digest = sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{rig.__version__}+{digest.hexdigest()[:12]}"


async def run_point(task: PointTask, store: Store | None = None, worker: str = "") -> tuple[Row, Path | None]:
    """Run it; an error of the rig or of the guest is a row too."""
    request = Request(task.scenario, task.sets, record=task.record, dump_panics=False, timeout_scale=task.timeout_scale)
    try:
        run, folder = await run_scenario(request, NullProgress(), store)
    except RigError as error:
        return row_of_error(error, *task.key, dict(task.settings), worker), None
    return row_of_run(run, *task.key, dict(task.settings), worker), folder


def pack_run(folder: Path) -> bytes:
    """Return a run's folder as a compressed archive."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        archive.add(folder, arcname=folder.name)
    return packed.getvalue()


def unpack_run(packed: bytes, run: str) -> Path:
    """Put a run that was made elsewhere among our runs. The archive is input: it may hold that one folder only."""
    root = runs_folder()
    root.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for member in archive.getmembers():
            if Path(member.name).parts[:1] != (run,):
                raise RigError(f"the archive of run {run} holds {member.name!r}", where="worker")
        extract_files(archive, root)
    return root / run
