# SPDX-License-Identifier: MIT
"""Mark entries of the cache and runs as in use, so that no other process removes them in the meantime.

Whoever looks an entry up holds a shared flock on its manifest, and whoever evicts needs an exclusive one. Of a run the
directory is locked, because run.json may be replaced. The kernel releases a flock when its process dies, so a rig that
was killed blocks nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from rig.locked_directory import try_lock

__all__ = ["hold", "lock_unused", "using_entries"]

Held = dict[tuple[int, int], int]
"""Device and inode of a manifest -> the descriptor that holds its lock."""

_until_the_end: Held = {}
_scope: ContextVar[Held | None] = ContextVar("_scope", default=None)


@contextmanager
def using_entries() -> Iterator[None]:
    """Release at the end of the block what was looked up in it; outside of a block it is held until the process ends.

    Tasks and asyncio.to_thread() inherit the block. A sweep without it would hold the snapshot of every point.
    """
    held: Held = {}
    token = _scope.set(held)
    try:
        yield
    finally:
        _scope.reset(token)
        for descriptor in held.values():
            os.close(descriptor)


def hold(manifest: Path) -> bool:
    """Mark the entry of this manifest as in use. Return False if the entry is gone or is being evicted.

    manifest: or the directory of a run, or a build directory.
    """
    try:
        descriptor = os.open(manifest, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            pass  # a filesystem without flock: its entries are not protected, and can be used all the same
        mine = os.fstat(descriptor)
        found = manifest.stat()
    except OSError:
        os.close(descriptor)
        return False
    if (mine.st_dev, mine.st_ino) != (found.st_dev, found.st_ino):
        os.close(descriptor)
        return False
    inherited = _scope.get()
    held = _until_the_end if inherited is None else inherited
    if (mine.st_dev, mine.st_ino) in held:
        os.close(descriptor)
    else:
        held[mine.st_dev, mine.st_ino] = descriptor
    return True


@contextmanager
def lock_unused(manifest: Path, *, asked: bool = False) -> Iterator[bool]:
    """Yield whether nobody uses the entry of this manifest. If so, nobody can begin to until the end of the block.

    manifest: or the directory of a run, or a build directory.
    asked: whether the user asked for the removal. It is then done also where the filesystem cannot say who uses what.
    Raises OSError where the user asked, and the entry cannot be opened though it is there.
    """
    try:
        # NFS grants an exclusive lock only on a descriptor that is open for writing (flock(2)): none on a directory.
        descriptor = os.open(manifest, (os.O_RDONLY if manifest.is_dir() else os.O_RDWR) | os.O_CLOEXEC)
    except OSError as error:
        # "In use" would be a wrong reason for the user, who would wait.
        if asked and not isinstance(error, FileNotFoundError):
            raise
        yield False
        return
    try:
        try:
            free = try_lock(descriptor)
        except OSError:
            # The filesystem has no such lock: what is in use looks like what is not.
            free = asked
        yield free
    finally:
        os.close(descriptor)
