# SPDX-License-Identifier: MIT
"""The directories of runs that are not complete yet: made, finished, and removed where their rig was killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rig.disk import cannot_write
from rig.errors import RigError
from rig.locked_directory import lock_abandoned, make_locked, remove_abandoned
from rig.remove_tree import remove_tree
from rig.whole_file import remove_partials, sync_directory, sync_tree

__all__ = [
    "LOCK",
    "UNFINISHED",
    "finish_directory",
    "remove_leftovers",
    "remove_unfinished",
    "run_cannot_be_written",
    "unfinished_directory",
]

UNFINISHED = ".unfinished-"
LOCK = ".lock"


@contextmanager
def unfinished_directory(root: Path, run_id: str) -> Iterator[Path]:
    """Yield a locked staging directory beside the runs; remove it at the end unless `finish_directory` renamed it.

    Raises RigError when the directory cannot be created, or another rig process holds its lock.
    """
    directory = root / f"{UNFINISHED}{run_id}"
    try:
        # An interrupt removes what is made now, and must not remove what was there.
        if directory.exists():
            raise FileExistsError
        with suppress(FileExistsError):
            root.mkdir(parents=True)
        lock = make_locked(directory, LOCK)
    except FileExistsError:
        raise RigError(
            "another rig process is writing this run, or left it unfinished",
            where=directory,
            remedy="wait for it, or run `rig clean`",
        ) from None
    except OSError as error:
        raise run_cannot_be_written(directory, error) from error
    try:
        yield directory
    finally:
        os.close(lock)
        remove_tree(directory)


def finish_directory(directory: Path, final: Path) -> None:
    """Sync a staging directory and rename it to its final name: after a power cut a run is complete or absent.

    Raises RigError when a file cannot be written or the rename fails.
    """
    try:
        sync_tree(directory)
        directory.rename(final)
        # Not before: a directory without a lock is one whose rig was killed, for a rig that cleans.
        with suppress(OSError):
            (final / LOCK).unlink()
        sync_directory(final.parent)
    except OSError as error:
        raise run_cannot_be_written(directory, error) from error


def run_cannot_be_written(directory: Path, error: OSError) -> RigError:
    """Return the error for a run's directory that cannot be written."""
    return cannot_write("the run's directory", directory, error)


def remove_leftovers(root: Path) -> list[Path]:
    """Remove the staging directories and unfinished files of killed rigs; return their paths. Those in use stay."""
    return remove_partials(root) + remove_unfinished(root)


def remove_unfinished(root: Path, *, older: float = 0.0) -> list[Path]:
    """Remove the staging directories of killed rigs, and return their paths.

    older: host seconds since the last write in them.
    """
    directories = sorted(root.glob(f"{UNFINISHED}*")) if root.is_dir() else []
    return remove_abandoned(directories, lambda directory: lock_abandoned(directory / LOCK), older=older)
