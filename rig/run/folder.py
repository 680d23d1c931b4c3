# SPDX-License-Identifier: MIT
"""The folders of runs: made whole or not at all, and found again by path, id, prefix or `last`."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = [
    "Listed",
    "OpenRun",
    "list_runs",
    "new_run_id",
    "open_run",
    "read_run",
    "remove_leftovers",
    "resolve_run",
    "runs_folder",
]

RUN_FILE = "run.json"
UNFINISHED = ".unfinished-"
LOCK = ".lock"
LARGEST_RUN_FILE = 256 << 20


def runs_folder() -> Path:
    """Return where runs are kept: $RIG_RUNS, or `rig/runs` of the user's state folder."""
    if chosen := os.environ.get("RIG_RUNS"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("rig") / "runs"


def new_run_id(now: datetime | None = None) -> str:
    """Return an id such as `20250131-142530-k4fq`: UTC, so that ids sort by age, and four random letters."""
    now = datetime.now(UTC) if now is None else now.astimezone(UTC)
    letters = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4))
    return f"{now:%Y%m%d-%H%M%S}-{letters}"


@dataclass
class OpenRun:
    """A run's folder while it is being made. `keep(run)` writes run.json and marks it as whole."""

    id: str
    folder: Path
    """Where to write now; it moves to `final` when the run is whole."""
    final: Path
    whole: bool = False

    def keep(self, run: Run) -> None:
        """Write run.json: after this the folder stays, under its own name."""
        self.whole = False
        text = run.model_dump_json(indent=2)
        try:
            (self.folder / RUN_FILE).write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        self.whole = True


@contextmanager
def open_run(root: Path | None = None) -> Iterator[OpenRun]:
    """Make a run's folder; give it its name only when `keep` was called, else remove it.

    Raises RigError when the folder cannot be made or written.
    """
    root = runs_folder() if root is None else root
    run_id = new_run_id()
    folder = root / f"{UNFINISHED}{run_id}"
    try:
        folder.mkdir(parents=True, mode=0o700)
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    run = OpenRun(run_id, folder, root / run_id)
    try:
        # Held while this process lives: a folder whose lock is free was left by a rig that was killed.
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield run
        if run.whole:
            _finish(run)
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _finish(run: OpenRun) -> None:
    try:
        (run.folder / LOCK).unlink()
        run.folder.rename(run.final)
    except OSError as error:
        raise _cannot_write(run.folder, error) from error
    run.folder = run.final


def _cannot_write(folder: Path, error: OSError) -> RigError:
    return RigError(
        f"the run's folder cannot be written: {error.strerror}",
        where=folder,
        remedy="make room, or name another folder in RIG_RUNS",
    )


def remove_leftovers(root: Path | None = None) -> list[Path]:
    """Remove folders of runs whose rig was killed, and return them. Those of living rigs stay."""
    root = runs_folder() if root is None else root
    removed: list[Path] = []
    for folder in sorted(root.glob(f"{UNFINISHED}*")) if root.is_dir() else []:
        with contextlib.suppress(OSError):
            if (folder / LOCK).exists() and not _is_free(folder / LOCK):
                continue
            shutil.rmtree(folder)
            removed.append(folder)
    return removed


def _is_free(lock: Path) -> bool:
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


@dataclass(frozen=True)
class Listed:
    """A run in the list: run is None when its run.json cannot be read, and problem says why."""

    id: str
    folder: Path
    run: Run | None
    problem: str = ""


def list_runs(root: Path | None = None, *, last: int | None = None) -> list[Listed]:
    """Return the runs that are kept, oldest first; `last` bounds how many."""
    listed: list[Listed] = []
    folders = _folders(runs_folder() if root is None else root)
    for folder in folders if last is None else folders[-last:]:
        try:
            listed.append(Listed(folder.name, folder, read_run(folder)))
        except RigError as error:
            listed.append(Listed(folder.name, folder, None, error.what))
    return listed


def resolve_run(run: str, root: Path | None = None) -> Path:
    """Return the folder of RUN: a path, an id, a unique prefix of one, or `last`. Raises UsageError."""
    root = runs_folder() if root is None else root
    path = Path(run).expanduser()
    if path.name == RUN_FILE and path.is_file():
        path = path.parent
    if (path / RUN_FILE).is_file():
        return path.resolve()
    folders = _folders(root)
    if run == "last":
        if not folders:
            raise UsageError("there is no run yet", where=root, remedy="make one: rig run overcommit-oops")
        return folders[-1]
    if "/" in run:
        raise UsageError(f"there is no {RUN_FILE} in this folder", where=run, remedy="'rig runs' lists the runs")
    found = [folder for folder in folders if folder.name.startswith(run)] if run else []
    exact = [folder for folder in found if folder.name == run]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        names = "\n".join(folder.name for folder in found)
        raise UsageError(f"'{run}' begins {len(found)} runs' ids", remedy="write more of it", detail=names)
    raise UsageError(f"there is no run '{run}'", where=root, remedy="'rig runs' lists the runs")


def read_run(folder: Path) -> Run:
    """Read run.json of a run's folder. Raises RigError when it is missing, broken or of a later schema."""
    from pydantic import ValidationError

    from rig.run.document import SCHEMA_VERSION, Run

    path = folder / RUN_FILE
    try:
        if path.stat().st_size > LARGEST_RUN_FILE:
            raise RigError("run.json is larger than 256 MB", where=path, remedy="this is no run of rig's")
        run = Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RigError(f"there is no {RUN_FILE}", where=folder, remedy="'rig runs' lists the runs") from None
    except OSError as error:
        raise RigError(f"cannot be read: {error.strerror}", where=path) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise RigError(f"not a run: {key}: {first['msg']}", where=path, remedy="the file is damaged") from None
    if run.schema_version > SCHEMA_VERSION:
        raise RigError(
            f"the run has schema version {run.schema_version}, this rig reads {SCHEMA_VERSION}",
            where=path,
            remedy="use the rig that made it, or a later one",
        )
    return run


def _folders(root: Path) -> list[Path]:
    """The folders of whole runs, oldest first: by the second in the id, then by when run.json was written."""
    if not root.is_dir():
        return []
    whole = [path.parent for path in root.glob(f"*/{RUN_FILE}") if not path.parent.name.startswith(".")]
    return sorted(whole, key=lambda folder: (folder.name[:15], (folder / RUN_FILE).stat().st_mtime_ns))
