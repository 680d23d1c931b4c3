# SPDX-License-Identifier: MIT
"""Directories of running rigs, told from those of rigs that were killed by a lock on a file in them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from rig.disk import seconds_untouched
from rig.remove_tree import make_directory, remove_tree

__all__ = ["lock_abandoned", "make_locked", "remove_abandoned", "try_lock"]


def make_locked(path: Path, name: str) -> int:
    """Make a directory that did not exist, with a locked file in it, and return the file's descriptor.

    name: of the file. The kernel releases its lock when the descriptor is closed, or this process dies.
    Raises OSError, FileExistsError among them. Nothing is left where this is interrupted.
    """
    return make_directory(path, lambda path: _make(path, path / name))


def _make(path: Path, file: Path) -> int:
    # remove_abandoned() of another rig may find the directory before it is locked, and remove it: it is made again.
    while True:
        path.mkdir(mode=0o700)
        try:
            # O_CLOEXEC keeps child programs from holding the lock on.
            lock = os.open(file, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)
        # Its file is gone before the directory is.
        remove_tree(path)


def try_lock(descriptor: int) -> bool:
    """Return whether an exclusive lock on an open file could be taken at once, or somebody else holds it.

    Raises OSError where the filesystem has no such lock.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def lock_abandoned(file: Path) -> Iterator[bool]:
    """Yield whether no rig holds the lock on a file, or the file is absent. No rig can take the lock within the block.

    Raises OSError where the file cannot be locked.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield True
        return
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def remove_abandoned(
    paths: Iterable[Path],
    abandoned: Callable[[Path], AbstractContextManager[bool]],
    *,
    older: float = 0.0,
    remove: Callable[[Path], None] = remove_tree,
) -> list[Path]:
    """Remove those of the directories whose rig was killed as far as possible, and return those that are gone.

    abandoned: yields whether no rig uses a directory; that holds until it is gone, so that a rig which is about to lock
        it sees that it was removed.
    older: host seconds since the last write in a directory.
    remove: raises OSError for a directory that is to stay.
    """
    removed = []
    for path in paths:
        with suppress(OSError):
            if older and seconds_untouched(path) < older:
                continue
            with abandoned(path) as free:
                if free:
                    remove(path)
                    removed += [path] * (not path.exists())
    return removed
