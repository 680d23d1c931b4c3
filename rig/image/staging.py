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

__all__ = ["list_staging_directories", "remove_staging_directories", "staging_directory"]

LOCK = ".rig-lock"
FALLBACK = "/tmp"
"""Where staging directories are when neither TMPDIR nor XDG_RUNTIME_DIR is set."""


@contextmanager
def staging_directory(purpose: str, base: str | None = None) -> Iterator[Path]:
    """Yield an empty private directory `rig-PURPOSE-…`, and remove it at the end of the block.

    base: the directory to make it in, TMPDIR by default.
    """
    path = Path(tempfile.mkdtemp(prefix=f"rig-{purpose}-", dir=base))
    try:
        # The kernel releases the flock when this process dies. O_CLOEXEC keeps child programs from holding it longer.
        lock = os.open(path / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield path
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def list_staging_directories(purpose: str) -> list[Path]:
    """Return this user's staging directories of that purpose whose rig is running."""
    found = []
    for path in (path for base in _bases() for path in Path(base).glob(f"rig-{purpose}-????????")):
        # A directory that ends meanwhile, and another user's.
        with contextlib.suppress(OSError):
            if not path.is_symlink() and path.stat().st_uid == os.geteuid() and not _is_free(path / LOCK):
                found.append(path)
    return found


def _bases() -> set[str]:
    return {tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR") or FALLBACK, FALLBACK}


def remove_staging_directories() -> int:
    """Remove the staging directories of rigs that were killed, and return their number."""
    count = 0
    for path in (path for base in _bases() for path in Path(base).glob("rig-*-????????")):
        # Directories of other users, and of other programs with such a name, stay: suppress their errors.
        with contextlib.suppress(OSError):
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue
            if (path / LOCK).is_file():
                if not _is_free(path / LOCK):
                    continue
                shutil.rmtree(path)
            else:
                path.rmdir()  # killed before there was anything in it
            count += 1
    return count


def _is_free(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
