# SPDX-License-Identifier: MIT
"""Write files atomically: after a kill or a power cut a file is either complete or absent."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = [
    "append_line",
    "read_object",
    "remove_partials",
    "sync_directory",
    "sync_tree",
    "unnamed_until_whole",
    "write_all",
    "write_unsynced",
    "write_whole",
]

MOST_LEVELS = 4
ABANDONED = 3600
"""Seconds. A younger unfinished file may be of a rig on another host that shares the directory."""
WITHOUT_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)


@contextmanager
def unnamed_until_whole(target: Path, *, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Yield a file without a name (O_TMPFILE). At the end of the block it is synced to disk and named `target`.

    The kernel frees an unfinished file, however rig ended. On a filesystem without O_TMPFILE (NFS) the file has the
    temporary name `.NAME.PID.partial`.
    """
    aside = _partial(target)
    named = False
    try:
        descriptor = os.open(target.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in WITHOUT_TMPFILE:
            raise
        descriptor, named = os.open(aside, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, mode), True
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 # it has no path
            yield file
            file.flush()
            os.fsync(descriptor)
            if not named:
                aside.unlink(missing_ok=True)
                _name(descriptor, aside)
                named = True
        aside.replace(target)
        sync_directory(target.parent)
    except BaseException:
        if named:
            aside.unlink(missing_ok=True)
        raise


def _partial(target: Path) -> Path:
    return target.with_name(f".{target.name[:200]}.{os.getpid()}.partial")


def _name(descriptor: int, path: Path) -> None:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # With a directory's descriptor Python calls linkat(AT_SYMLINK_FOLLOW); without, link(), which does not follow.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=directory, follow_symlinks=True)
    finally:
        os.close(directory)


def write_whole(target: Path, data: bytes) -> None:
    """Write a temporary file, sync it and rename it to `target`, so that a reader sees the old or the new content."""
    with unnamed_until_whole(target) as file:
        file.write(data)


def write_unsynced(target: Path, text: str) -> None:
    """Write what may be lost: a power cut may undo it, and nothing is written where the directory does not allow it.

    As with write_whole() a reader sees the old or the new content, but no run waits for the disk.
    """
    aside = _partial(target)
    try:
        aside.write_text(text)
        aside.replace(target)
    except OSError:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file whose loss costs nothing but work; empty if it is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def remove_partials(root: Path) -> list[Path]:
    """Remove the files `.NAME.PID.partial` that are an hour old and whose process no longer runs; return their paths.

    A SIGKILL between the write of such a file and its rename leaves it.
    root: a directory; it and three levels below it are looked through. No symbolic link is followed.
    """
    removed: list[Path] = []
    for parent, directories, files in os.walk(root):
        if len(Path(parent).relative_to(root).parts) >= MOST_LEVELS - 1:
            directories.clear()
        for path in (Path(parent, name) for name in files if _is_abandoned(name)):
            with suppress(OSError):
                if time.time() - path.lstat().st_mtime > ABANDONED:
                    path.unlink()
                    removed.append(path)
    return removed


def _is_abandoned(name: str) -> bool:
    """Return whether a name is `.NAME.PID.partial`, with the pid of no process of this host."""
    if not (name.startswith(".") and name.endswith(".partial")):
        return False
    pid = name.removesuffix(".partial").rpartition(".")[2]
    return pid.isascii() and pid.isdigit() and not Path("/proc", pid).exists()


def write_all(descriptor: int, data: bytes, offset: int | None = None) -> None:
    """Write all of the data, or raise the OSError that prevents it.

    write(2) and pwrite(2) write a part where the disk has room for a part, and fail only when they are called again.
    offset: in the file, in bytes; None to write where the last write ended.
    """
    left = memoryview(data)
    while left:
        written = os.write(descriptor, left) if offset is None else os.pwrite(descriptor, left, offset)
        left = left[written:]
        offset = None if offset is None else offset + written


def append_line(target: Path, line: bytes) -> None:
    """Append a line and sync it. A line that a kill or a power cut left without an end stays a line of its own."""
    descriptor = os.open(target, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + line + b"\n"
        write_all(descriptor, data)
        os.fsync(descriptor)
        if not size:
            sync_directory(target.parent)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Sync every file and directory below a directory, and the directory itself, before it gets its final name."""
    for path in [directory, *directory.rglob("*")]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Sync a directory, so that the names in it survive a power cut (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
