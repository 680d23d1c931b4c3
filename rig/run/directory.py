# SPDX-License-Identifier: MIT
"""The directories of runs: created atomically, and found by path, id, prefix or `last`."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rig.disk import modified
from rig.errors import RigError, UsageError
from rig.in_use import hold, lock_unused
from rig.remove_tree import remove_tree
from rig.run.run_id import is_run_id, new_run_id
from rig.run.unfinished import UNFINISHED, finish_directory, run_cannot_be_written, unfinished_directory
from rig.seal import seal, seal_is_broken
from rig.validation import describe_first
from rig.whole_file import sync_directory, write_whole

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = [
    "LARGEST_RUN_FILE",
    "SWEEPS",
    "Listed",
    "OpenRun",
    "list_runs",
    "new_run_id",
    "open_run",
    "parse_run",
    "read_held_run",
    "read_run",
    "remove_run",
    "resolve_run",
    "rewrite_run",
    "run_directories",
    "runs_directory",
    "use_run",
]

logger = logging.getLogger(__name__)
RUN_FILE = "run.json"
SWEEPS = "sweeps"
"""The directory of sweeps and threshold searches, in the directory of runs."""
LARGEST_RUN_FILE = 16 << 20
MOST_CONTAINERS, MOST_VALUES = 300_000, 600_000
"""Limits on run.json, counted by its brackets and commas: parsing one empty list takes half a kilobyte of memory."""
# An unterminated string matches up to the end of the text, so that the search stays linear.
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def runs_directory() -> Path:
    """Return the directory that holds the runs: $RIG_RUNS, or `rig/runs` in the user's state directory."""
    if chosen := os.environ.get("RIG_RUNS"):
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("rig") / "runs"


@dataclass
class OpenRun:
    """A run's directory while the run is in progress. `keep(run)` writes run.json and marks the run as complete."""

    id: str
    directory: Path
    """The directory to write to; it is renamed to `final` when the run is complete."""
    final: Path
    whole: bool = False

    def keep(self, run: Run) -> None:
        """Write run.json. From then on the directory is kept and gets its final name."""
        self.whole = False
        try:
            write_whole(self.directory / RUN_FILE, _text(run))
        except OSError as error:
            raise run_cannot_be_written(self.directory, error) from error
        self.whole = True


@contextmanager
def open_run(root: Path | None = None) -> Iterator[OpenRun]:
    """Create a run's directory; rename it to its final name if `keep` was called, otherwise remove it.

    Raises RigError when the directory cannot be created or written.
    """
    root = runs_directory() if root is None else root
    run_id = new_run_id()
    with unfinished_directory(root, run_id) as directory:
        run = OpenRun(run_id, directory, root / run_id)
        yield run
        if run.whole:
            finish_directory(directory, run.final)
            run.directory = run.final


def rewrite_run(directory: Path, run: Run) -> None:
    """Replace run.json of a run that is complete. Raises RigError when it cannot be written."""
    try:
        write_whole(directory / RUN_FILE, _text(run))
    except OSError as error:
        raise run_cannot_be_written(directory, error) from error


def _text(run: Run) -> bytes:
    return (seal(run.model_dump_json(indent=2)) + "\n").encode()


@dataclass(frozen=True)
class Listed:
    """A run in the list.

    run: None when run.json cannot be read.
    problem: why it cannot be read.
    """

    id: str
    directory: Path
    run: Run | None
    problem: str = ""


def list_runs(root: Path | None = None, *, last: int | None = None) -> list[Listed]:
    """Return the runs, oldest first. last: at most this many, the newest ones."""
    listed: list[Listed] = []
    directories = run_directories(root)
    for directory in directories if last is None else directories[-last:]:
        try:
            listed.append(Listed(directory.name, directory, read_run(directory)))
        except RigError as error:
            listed.append(Listed(directory.name, directory, None, error.what))
    return listed


def resolve_run(run: str, root: Path | None = None) -> Path:
    """Return the directory of a run. Raises UsageError when no run, or more than one, matches.

    run: a path, an id, a unique prefix of an id, or `last`.
    """
    root = runs_directory() if root is None else root
    path = Path(run).expanduser()
    if path.name == RUN_FILE and path.is_file():
        path = path.parent
    if (path / RUN_FILE).is_file():
        return path.resolve()
    directories = run_directories(root)
    if run == "last":
        if not directories:
            raise UsageError("there is no run yet", where=root, remedy="make one: rig run overcommit-oops")
        return directories[-1]
    if "/" in run:
        raise UsageError(f"there is no {RUN_FILE} in this directory", where=run, remedy="'rig runs' lists the runs")
    found = [directory for directory in directories if directory.name.startswith(run)] if run else []
    exact = [directory for directory in found if directory.name == run]
    if exact or len(found) == 1:
        return (exact or found)[0]
    if found:
        names = "\n".join(directory.name for directory in found)
        raise UsageError(f"'{run}' matches {len(found)} runs", remedy="write more of the id", detail=names)
    raise UsageError(f"there is no run '{run}'", where=root, remedy="'rig runs' lists the runs")


def read_run(directory: Path) -> Run:
    """Read run.json from a run's directory. Raises RigError when it is missing, invalid or of a later schema."""
    path = directory / RUN_FILE
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_RUN_FILE + 1)
    except FileNotFoundError:
        raise RigError(f"there is no {RUN_FILE}", where=directory, remedy="'rig runs' lists the runs") from None
    except OSError as error:
        raise RigError(f"cannot be read: {error.strerror}", where=path) from error
    return parse_run(text, path)


def read_held_run(directory: Path) -> Run:
    """Hold a run until this process ends, and read run.json: nothing that it names is removed in the meantime.

    Raises the errors of use_run and read_run.
    """
    use_run(directory)
    return read_run(directory)


def parse_run(text: bytes, where: Path) -> Run:
    """Parse the text of a run.json in memory that is bounded by the text's size.

    where: the path that an error message names.
    Raises RigError when the text is not a run, exceeds the limits on a run, or has a later schema.
    """
    from pydantic import ValidationError

    from rig.run.document import SCHEMA_VERSION, Run

    # Strings hold program output, whose brackets and commas must not count.
    bare = _STRINGS.sub(b"", text[: LARGEST_RUN_FILE + 1])
    containers, values = bare.count(b"[") + bare.count(b"{"), bare.count(b",")
    if len(text) > LARGEST_RUN_FILE or containers > MOST_CONTAINERS or values > MOST_VALUES:
        raise RigError("not a run: it is larger than a run can be", where=where, remedy="the file is damaged")
    try:
        run = Run.model_validate_json(text)
    except ValidationError as error:
        raise RigError(f"not a run: {describe_first(error)}", where=where, remedy="the file is damaged") from None
    if seal_is_broken(text):
        logger.warning("%s was changed after it was written: what it says of the run may be wrong", where)
    if not is_run_id(run.id):
        raise RigError(f"not a run: {run.id[:40]!r} is not a run's id", where=where, remedy="the file is damaged")
    if run.schema_version > SCHEMA_VERSION:
        raise RigError(
            f"the run has schema version {run.schema_version}, this rig reads {SCHEMA_VERSION}",
            where=where,
            remedy="use the rig that made it, or a later one",
        )
    return run


def run_directories(root: Path | None = None) -> list[Path]:
    """Return the directories of complete runs, oldest first: by the second in the id, then by run.json's mtime."""
    root = runs_directory() if root is None else root
    if not root.is_dir():
        return []
    complete = [path.parent for path in root.glob(f"*/{RUN_FILE}") if not path.parent.name.startswith(".")]
    return sorted(complete, key=lambda directory: (directory.name[:15], modified(directory / RUN_FILE)))


def remove_run(directory: Path) -> None:
    """Remove a run. It is renamed first, so that no list shows half a run and `rig clean` finds what is left of it.

    Raises RigError when another rig uses the run, and when the directory cannot be opened or renamed.
    """
    aside = directory.with_name(f"{UNFINISHED}{directory.name}")
    try:
        with lock_unused(directory, asked=True) as free:
            if not free:
                raise RigError(
                    "another rig uses the run, for a replay, a branch or an export",
                    where=directory,
                    remedy="wait for it, or end it",
                )
            directory.rename(aside)
            # Otherwise a power cut could bring the name back after some of the files are gone.
            sync_directory(aside.parent)
    except OSError as error:
        raise run_cannot_be_written(directory, error) from error
    remove_tree(aside)


def use_run(directory: Path) -> None:
    """Mark a run as used now, and as in use until this process ends.

    Raises RigError when it is gone, is being removed, or cannot be read.
    """
    if not hold(directory):
        if directory.is_dir() and not os.access(directory, os.R_OK):
            raise RigError("the run's directory cannot be read", where=directory, remedy="make it readable")
        raise RigError("the run was removed by another rig", where=directory, remedy="'rig runs' lists the runs")
    with contextlib.suppress(OSError):
        os.utime(directory)
