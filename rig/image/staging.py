# SPDX-License-Identifier: MIT
"""Temporary directories for a `with` block. A later rig finds and removes those of a rig that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.disk import FULL, is_full, seconds_untouched, written_path
from rig.remove_tree import make_directory, new_name, remove_tree

__all__ = ["list_staging_directories", "remove_staging_directories", "staging_directory"]

LOCK = ".rig-lock"
FALLBACK = "/tmp"
"""Where staging directories are when neither TMPDIR nor XDG_RUNTIME_DIR is set."""


@contextmanager
def staging_directory(purpose: str, base: str | None = None) -> Iterator[Path]:
    """Yield an empty private directory `rig-PURPOSE-…`, and remove it at the end of the block.

    base: the directory to make it in, TMPDIR by default.
    """
    path = Path(base or tempfile.gettempdir(), new_name(f"rig-{purpose}-"))
    lock = make_directory(path, _make_locked)
    try:
        yield path
    except OSError as error:
        if error.errno in FULL and _is_of(error, path):
            # When the directory is removed its disk may have room again.
            error.filename, error.filename2 = str(path.parent), None
        raise
    finally:
        os.close(lock)
        remove_tree(path)


def _is_of(error: OSError, path: Path) -> bool:
    """Return whether the write that failed was one into this directory, which is full."""
    written = written_path(error)
    return is_full(path) if written is None else Path(written).is_relative_to(path)


def list_staging_directories(purpose: str) -> list[Path]:
    """Return this user's staging directories of that purpose whose rig is running."""
    found = []
    for path in (path for base in _bases() for path in Path(base).glob(f"rig-{purpose}-????????")):
        # A directory that ends meanwhile, and another user's.
        with contextlib.suppress(OSError):
            if not path.is_symlink() and path.stat().st_uid == os.geteuid() and _is_held(path / LOCK):
                found.append(path)
    return found


def _is_held(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _bases() -> set[str]:
    return {tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR") or FALLBACK, FALLBACK}


def _make_locked(path: Path) -> int:
    """Make a directory with a locked file in it, and return the file's descriptor.

    remove_staging_directories() of another rig may find the directory before the lock is taken, and remove it: then
    it is made again.
    """
    while True:
        path.mkdir(mode=0o700)
        try:
            # The kernel releases the flock when this process dies. O_CLOEXEC keeps child programs from holding it on.
            lock = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.fstat(lock).st_nlink:
            return lock
        os.close(lock)
        # Its file is gone before the directory is.
        remove_tree(path)


def remove_staging_directories(*, older: float = 0.0) -> int:
    """Remove the staging directories of rigs that were killed, and return their number.

    older: host seconds since the last write in them.
    """
    count = 0
    for path in (path for base in _bases() for path in Path(base).glob("rig-*-????????")):
        # Directories of other users, of living rigs (BlockingIOError of flock), and of other programs with such a name
        # stay: suppress their errors.
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.geteuid() or seconds_untouched(path) < older:
                continue
            if (path / LOCK).is_file():
                # Held until the directory is gone, so that a rig that is about to lock it sees that it was removed.
                with (path / LOCK).open("rb") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
            else:
                path.rmdir()  # killed before there was anything in it
            count += 1
    return count
