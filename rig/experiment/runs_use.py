# SPDX-License-Identifier: MIT
"""Keep the runs within a bound. What goes are recordings, which only a replay needs; a run's results never go."""

from __future__ import annotations

import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rig.disk import bytes_below, modified
from rig.errors import RigError
from rig.image.bounds import UNFINISHED_AGE, cut_to, runs_bound
from rig.image.staging import remove_staging_directories
from rig.in_use import lock_unused
from rig.remove_tree import remove_tree
from rig.run.directory import RUN_FILE, read_run, rewrite_run, run_directories
from rig.run.disk_use import runs_by_kind
from rig.run.imported import IMPORTED_FILE
from rig.run.recording_files import RECORDING_DIRECTORY
from rig.run.run_id import is_run_id
from rig.run.unfinished import remove_unfinished
from rig.seal import seal_is_broken
from rig.units import format_megabytes, format_size

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["Dropped", "bytes_of_runs", "drop_recordings", "keep_runs_bound"]

logger = logging.getLogger(__name__)
NEWEST = 20
"""Runs that keep their recordings whatever they take."""
FEW, ONE_IN, LARGE = 200, 50, 64 << 20
"""Up to FEW runs are measured after each run, which takes some milliseconds. Of more, every run in ONE_IN measures
them, and one whose recording has LARGE bytes."""


@dataclass(frozen=True)
class Dropped:
    """The result of dropping recordings.

    runs: number of runs that lost theirs.
    freed: bytes.
    left: bytes that all runs take now.
    """

    runs: int
    freed: int
    left: int


def keep_runs_bound(directory: Path) -> None:
    """Drop recordings if the runs take more than RIG_RUNS_SIZE; called after a run was kept.

    directory: of that run.
    Warns of what was dropped, and of runs that stay above their bound.
    Raises RigError where RIG_RUNS_SIZE is not a size.
    """
    bound, root = runs_bound(), directory.parent
    try:
        if not _is_due(directory):
            return
        # They count against no bound.
        if removed := remove_unfinished(root, older=UNFINISHED_AGE):
            logger.warning(f"unfinished runs of killed rigs were removed: {len(removed)}")
        # Swap files and disks of their guests may be in them.
        remove_staging_directories(older=UNFINISHED_AGE)
        taken = bytes_of_runs(root)
        if taken <= bound:
            return
        done = drop_recordings(root, cut_to(bound), taken)
    except OSError as error:
        logger.debug("the runs are not measured: %s", error)
        return
    if done.runs:
        logger.warning(
            f"the runs took more than {format_size(bound)} (RIG_RUNS_SIZE): the recordings of {done.runs} not used for"
            f" longest were removed, {format_megabytes(done.freed)}; their results stay, and they cannot be replayed"
        )
    if done.left > bound:
        over = format_megabytes(done.left - bound)
        logger.warning(f"the runs are {over} above their bound (RIG_RUNS_SIZE): rig runs rm --older 7d removes some")


def _is_due(directory: Path) -> bool:
    # By the id and not by a count: runs that end at once would all miss it.
    if zlib.crc32(directory.name.encode()) % ONE_IN == 0:
        return True
    # Names are counted: to look into each of 5,000 runs takes 0.2 s.
    if sum(is_run_id(path.name) for path in directory.parent.iterdir()) <= FEW:
        return True
    recording = directory / RECORDING_DIRECTORY
    return recording.is_dir() and bytes_below(recording) >= LARGE


def bytes_of_runs(root: Path) -> int:
    """Return the bytes that all runs and sweeps take. Raises OSError where their directory cannot be read."""
    return sum(size for _, size in runs_by_kind(root).values())


def drop_recordings(root: Path, bound: int, taken: int) -> Dropped:
    """Remove recordings of the runs not used for longest until all runs fit a bound, in bytes.

    taken: bytes_of_runs().
    The NEWEST runs keep theirs, and so do imported runs and those that a rig is using.
    """
    left, count = taken, 0
    # A directory is modified when its run is written, replayed or exported (use_run), or gets a file, such as a report.
    for directory in sorted(run_directories(root)[:-NEWEST], key=modified):
        if left <= bound:
            break
        freed = _drop_recording(directory)
        left -= freed
        count += freed > 0
    return Dropped(count, taken - left, left)


def _drop_recording(directory: Path) -> int:
    """Remove a run's recording and return the bytes; 0 where it has none or keeps it."""
    recording = directory / RECORDING_DIRECTORY
    if not recording.is_dir() or (directory / IMPORTED_FILE).exists():
        return 0
    with lock_unused(directory) as free:
        if not free:
            return 0
        try:
            if seal_is_broken((directory / RUN_FILE).read_bytes()):
                # A new seal would hide that the file was changed.
                logger.debug("%s keeps its recording: its %s was changed", directory.name, RUN_FILE)
                return 0
            # First run.json: after a power cut no run names a recording that is gone.
            _forget_recording(directory, read_run(directory))
        except (RigError, OSError) as error:
            logger.debug("%s keeps its recording: %s", directory.name, error)
            return 0
        size = bytes_below(recording)
        remove_tree(recording)
    return size


def _forget_recording(directory: Path, run: Run) -> None:
    """Write a run's run.json without its recording; the guest's options and the digests of the logs stay."""
    reason = "it was removed to keep the runs within RIG_RUNS_SIZE"
    recording = run.recording.model_copy(update={"path": None, "size": None, "sha256": "", "reason": reason})
    files = {name: each for name, each in run.files.items() if not name.startswith(f"{RECORDING_DIRECTORY}/")}
    rewrite_run(directory, run.model_copy(update={"recording": recording, "files": files}))
