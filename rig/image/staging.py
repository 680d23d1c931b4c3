# SPDX-License-Identifier: MIT
"""Temporary directories for a `with` block. A later rig finds and removes those of a rig that was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.disk import FULL, is_full, written_path
from rig.locked_directory import lock_abandoned, make_locked, remove_abandoned
from rig.remove_tree import new_name, remove_tree

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
    lock = make_locked(path, LOCK)
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
    for path in _of_this_user(purpose):
        # A directory may end meanwhile.
        with contextlib.suppress(OSError), lock_abandoned(path / LOCK) as free:
            if not free:
                found.append(path)
    return found


def _of_this_user(purpose: str) -> Iterator[Path]:
    """Yield this user's directories with the name of a staging directory of that purpose."""
    for base in {tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR") or FALLBACK, FALLBACK}:
        for path in Path(base).glob(f"rig-{purpose}-????????"):
            with contextlib.suppress(OSError):
                if not path.is_symlink() and path.stat().st_uid == os.geteuid():
                    yield path


def remove_staging_directories(*, older: float = 0.0) -> int:
    """Remove the staging directories of rigs that were killed, and return their number.

    older: host seconds since the last write in them.
    """
    return len(
        remove_abandoned(_of_this_user("*"), lambda path: lock_abandoned(path / LOCK), older=older, remove=_remove)
    )


def _remove(path: Path) -> None:
    """Remove a staging directory. Raises OSError for a directory of another program, which has such a name too."""
    if (path / LOCK).is_file():
        shutil.rmtree(path)
    else:
        path.rmdir()  # its rig was killed before there was anything in it
