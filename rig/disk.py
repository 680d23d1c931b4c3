# SPDX-License-Identifier: MIT
"""Measure directories, and name the disk that is full or read-only, with a remedy that loses nothing."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rig.errors import RigError

__all__ = [
    "FULL",
    "bytes_below",
    "cannot_write",
    "disk_full",
    "disk_full_of",
    "is_full",
    "modified",
    "no_room",
    "says_full",
    "seconds_untouched",
    "sum_by_kind",
    "written_path",
]

LITTLE = 1 << 20
"""Bytes. A disk with less room counts as full: what did not fit may have been larger than what is left."""
FULL = (errno.ENOSPC, errno.EDQUOT)
REMEDIES = {
    "RIG_RUNS": "make room there, or name a directory on another disk in RIG_RUNS",
    "RIG_CACHE": "make room there, or name a directory on another disk in RIG_CACHE",
    "XDG_RUNTIME_DIR": "make room there, or name a directory on another disk in XDG_RUNTIME_DIR",
    "TMPDIR": "make room there, or name a directory on another disk in TMPDIR",
}
OTHERWISE = "make room there, or name a file on another disk"


def disk_full(*paths: str | Path | None, detail: str | None = None) -> RigError:
    """Return the error for a full disk. It names the first of the directories whose disk is full.

    paths: what was being written; rig's own directories are looked at too.
    detail: what the program that failed printed.
    """
    written = [Path(path) for path in paths if path is not None]
    known = _known()
    for path in [*written, *known.values()]:
        if is_full(path):
            return RigError("the disk is full", where=path, remedy=_remedy(path, known), detail=detail)
    where = written[0] if written else None
    return RigError("the disk is full", where=where, remedy=_remedy(where, known), detail=detail)


def disk_full_of(words: str, *paths: str | Path | None) -> RigError | None:
    """Return the error for a full disk if a program that failed says so, or None.

    words: what the program printed.
    paths: as for disk_full().
    """
    return disk_full(*paths, detail=words.strip()[-2000:]) if says_full(words) else None


def says_full(words: str) -> bool:
    """Return whether a program printed the message of an errno for a full disk.

    mkfs, ld, as, zstd, dpkg, make's shells and QEMU print it.
    """
    return any(os.strerror(number) in words for number in FULL)


def cannot_write(what: str, path: Path, error: OSError) -> RigError:
    """Return the error for something that cannot be written, because the disk is full or for another reason.

    what: as in "the run's directory".
    """
    if error.errno in FULL:
        found = disk_full(path)
        return RigError(f"{what} cannot be written: the disk is full", where=found.where, remedy=found.remedy)
    why = error.strerror or str(error)
    remedy = (
        _remedy(path, _known())
        .replace("make room there, or name", "name")
        .replace("a directory on another disk", "another directory")
        .replace("on another disk", "elsewhere")
    )
    return RigError(f"{what} cannot be written: {why}", where=path, remedy=remedy)


def no_room(why: str, path: Path) -> RigError:
    """Return the error for something that is not written because a disk has too little room for it.

    why: what is not written, and how much room there is.
    """
    return RigError(why, where=path, remedy=_remedy(path, _known()))


def written_path(error: OSError) -> str | None:
    """Return the path whose write failed, or None where the error names none, as of a write through an open file."""
    # A copy's filename is its source, and filename2 its target (shutil.copyfile()).
    path = error.filename2 or error.filename
    return path if isinstance(path, str) else None


def is_full(path: Path) -> bool:
    """Return whether the disk of a path, or of its nearest parent that exists, has no room left."""
    for each in (path, *path.parents):
        try:
            found = os.statvfs(each)
        except OSError:
            continue
        # Filesystems without a table of inodes report 0 of 0.
        return found.f_bavail * found.f_frsize < LITTLE or (found.f_files > 0 and found.f_favail == 0)
    return False


def _known() -> dict[str, Path]:
    """Return variable -> the directory that it names, or its default."""
    # On demand: every command imports this module, and only one that cannot write needs tempfile, which imports random.
    import tempfile

    from platformdirs import user_cache_path, user_state_path

    runs = os.environ.get("RIG_RUNS")
    cache = os.environ.get("RIG_CACHE")
    return {
        "RIG_RUNS": Path(runs).expanduser().absolute() if runs else user_state_path("rig") / "runs",
        "RIG_CACHE": Path(cache).absolute() if cache else user_cache_path("rig"),
        "XDG_RUNTIME_DIR": Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()),
        "TMPDIR": Path(tempfile.gettempdir()),
    }


def _remedy(path: Path | None, known: dict[str, Path]) -> str:
    if path is None:
        return f"make room; {', '.join(REMEDIES)} name directories on other disks"
    inside = {name: each for name, each in known.items() if path.absolute().is_relative_to(each)}
    if not inside:
        return OTHERWISE
    # The deepest one: the cache may be in TMPDIR. Where two name the same directory, the last is asked for.
    return REMEDIES[max(inside, key=lambda name: (len(inside[name].parts), name == "TMPDIR"))]


def seconds_untouched(directory: Path) -> float:
    """Return the host seconds since a directory, or anything below it, was changed last; at least 0."""
    newest = modified(directory)
    for parent, directories, files in os.walk(directory):
        newest = max([newest, *(modified(Path(parent, name)) for name in (*directories, *files))])
    return max(0.0, time.time() - newest / 1e9)


def bytes_below(directory: Path, *, without: Path | None = None) -> int:
    """Return the bytes on disk of a directory's files, without those that another process removes meanwhile.

    without: a directory in it whose files are not counted.
    """
    count = 0
    # os.walk() leaves out a directory that disappears; Path.rglob() of Python 3.11 raises FileNotFoundError.
    for parent, directories, files in os.walk(directory):
        if without is not None and Path(parent) == without:
            directories.clear()
            continue
        for name in (*directories, *files):
            with suppress(OSError):
                count += Path(parent, name).lstat().st_blocks * 512
    return count


def modified(path: Path) -> int:
    """Return when a file or directory was changed last, in ns since 1970; 0 where another process has removed it."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def sum_by_kind(sizes: Iterable[tuple[str, int]]) -> dict[str, tuple[int, int]]:
    """Return kind -> (number, bytes), the largest first.

    sizes: the kind and the bytes of each item.
    """
    kinds: dict[str, tuple[int, int]] = {}
    for kind, size in sizes:
        count, before = kinds.get(kind, (0, 0))
        kinds[kind] = count + 1, before + size
    return dict(sorted(kinds.items(), key=lambda pair: -pair[1][1]))
