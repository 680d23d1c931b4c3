# SPDX-License-Identifier: MIT
"""The cache of kernels, images and snapshots. An entry is built in a staging directory and renamed into place.

An entry is a directory `<kind>/<key>` with its files and a manifest that names each file's SHA-256.
Readers ignore a directory without a manifest, so a half-built entry is never used.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.disk import disk_full
from rig.errors import RigError
from rig.image.digest import digest_file, digest_once
from rig.image.kinds import KINDS
from rig.image.manifest import (
    COPIES,
    MANIFEST,
    Manifest,
    put_back,
    read_manifest,
    read_verified,
    remove_manifest,
    write_manifest,
    write_verified,
)
from rig.in_use import hold, lock_unused
from rig.remove_tree import remove_tree
from rig.units import format_size, parse_size
from rig.whole_file import sync_directory, sync_tree, write_whole

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["DAMAGED", "Entry", "Store", "boot_id", "is_key", "waits"]

logger = logging.getLogger(__name__)
waits = logging.getLogger("rig.waits")
"""Says that rig waits for another rig process. The command line silences it for -q."""
DEFAULT_BOUND = "8G"
BRANCH_BOUND = "4G"
DAMAGED, MOST_ASIDE = "damaged", 2
SILENT_WAIT = 3.0
"""Host seconds of waiting for another rig process after which that is said."""
UNSYNCED = ("branch", "payload")
"""The kinds that are made again to the byte, and verified after a boot: a run would wait for the disk."""
RECORDINGS_REST_ON = ("snapshot", "branch", "imported")
"""The kinds that cannot be built a second time to the byte."""
# A key becomes the name of a directory that rig replaces and removes, so its form is checked. The key of symbols is
# the kernel's build id.
KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)
BUILD_ID = re.compile(r"[0-9a-f]{16,128}", re.ASCII)


def is_key(kind: str, key: str) -> bool:
    """Return whether a kind exists and a key has the form that keys of this kind have."""
    return kind in KINDS and (BUILD_ID if kind == "symbols" else KEY).fullmatch(key) is not None


@dataclass(frozen=True)
class Entry:
    """A finished entry of the cache.

    files: name -> SHA-256.
    about: facts that the builder recorded.
    """

    kind: str
    key: str
    path: Path
    files: dict[str, str]
    about: dict[str, Any]

    def file(self, name: str) -> Path:
        """Return the path of one of its files."""
        return self.path / name

    @property
    def size(self) -> int:
        """Bytes on disk, with the copies of small files; 0 once another process has removed the entry."""
        count = 0
        for name in self.files:
            for path in (self.path / name, self.path / COPIES / name):
                with suppress(OSError):
                    count += path.stat().st_blocks * 512
        return count

    @property
    def used(self) -> float:
        """Host time of the last use; 0 once another process has removed the entry."""
        try:
            return (self.path / MANIFEST).stat().st_mtime
        except OSError:
            return 0

    def damaged(self) -> list[str]:
        """Return the names of files that are missing or whose SHA-256 differs from the manifest."""
        return [
            name
            for name, expected in self.files.items()
            if not (self.path / name).is_file()
            or not (self._is_untouched(name) or digest_once(self.path / name) == expected)
        ]

    def _is_untouched(self, name: str) -> bool:
        """Return whether a file is as it was when it was added or verified, by its inode, size, times and the boot."""
        return self._stamps.get(name) == _stamp(self.path / name)

    @cached_property
    def _stamps(self) -> dict[str, Any]:
        added = self.about.get("stamps")
        return {**(added if isinstance(added, dict) else {}), **read_verified(self.path)}

    def stamps_now(self) -> dict[str, Any]:
        """Return the stamp of each file that would be read to verify it."""
        names = (name for name in self.files if (self.path / name).is_file())
        return {name: _stamp(self.path / name) for name in names if not self._is_untouched(name)}

    def verified(self, stamps: dict[str, Any]) -> None:
        """Remember that files with these stamps had their SHA-256, so that they are not read again before a boot."""
        if stamps:
            write_verified(self.path, {**read_verified(self.path), **stamps})

    def touch(self) -> None:
        """Record a use, unless the cache is read-only. evict() removes the least recently used entries first."""
        with suppress(OSError):
            os.utime(self.path / MANIFEST)


@cache
def boot_id() -> str:
    """Return the kernel's random id of this boot of the host."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _bytes_below(directory: Path) -> int:
    """Return the bytes on disk of a directory's files, without those that another process removes meanwhile."""
    count = 0
    for path in directory.rglob("*"):
        with suppress(OSError):
            count += path.lstat().st_blocks * 512
    return count


def _acquire(lock: FileLock) -> None:
    """Take a lock, and say so if another rig process holds it for a while. A build may take an hour, so wait for it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=SILENT_WAIT)
    except Timeout:
        waits.warning("waiting for another rig process, which holds %s", lock.lock_file)
        lock.acquire()


def _stamp(path: Path) -> list[int | str]:
    """Return what changes when a file is written to or replaced, and when the host is booted.

    After a power cut a file may have its size and its times, and not its content.
    """
    status = path.stat()
    return [boot_id(), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _bound(name: str, default: str) -> int:
    try:
        return parse_size(os.environ.get(name, default))
    except ValueError as error:
        raise RigError(str(error), where=name, remedy="set it to a size such as 8G") from None


class Store:
    """The cache directory.

    root: RIG_CACHE if None, or else rig's directory in the user's XDG cache.
    """

    def __init__(self, root: Path | None = None) -> None:
        if root is None:
            configured = os.environ.get("RIG_CACHE")
            if configured:
                root = Path(configured)
            else:
                import platformdirs

                root = platformdirs.user_cache_path("rig")
        self.root = root.absolute()

    def get(self, kind: str, key: str) -> Entry | None:
        """Return a finished entry, or None. It is in use from now on: see in_use.py."""
        entry = self._read(kind, key)
        return entry if entry is not None and hold(entry.path / MANIFEST) else None

    def _read(self, kind: str, key: str) -> Entry | None:
        if not is_key(kind, key):
            return None
        path = self.root / kind / key
        manifest = read_manifest(path)
        return None if manifest is None else Entry(kind, key, path, manifest.files, manifest.about)

    def get_verified(self, kind: str, key: str | None) -> Entry | None:
        """Return a finished entry whose files match their hashes, and record its use; None where there is none.

        A damaged entry is logged and set aside. A damaged file that has a copy is put back from it.
        """
        entry = self.get(kind, key) if key else None
        if entry is None:
            return None
        stamps = entry.stamps_now()
        lost = [name for name in entry.damaged() if not self._put_back(entry, name)]
        if not lost:
            entry.verified(stamps)
            entry.touch()
            return entry
        self.set_aside(entry, lost)
        return None

    def _put_back(self, entry: Entry, name: str) -> bool:
        if not put_back(entry.path, name, entry.files[name]):
            return False
        logger.warning("the cached %s was damaged on disk (%s): it is put back from a copy", entry.kind, name)
        return True

    def set_aside(self, entry: Entry, lost: list[str]) -> None:
        """Take a damaged entry out of use, log what is lost, and keep its files where recordings may rest on them.

        The last MOST_ASIDE entries are kept in the directory `damaged` of the cache.
        """
        named = f"the cached {entry.kind} was damaged on disk ({', '.join(lost)}): it is built again"
        if entry.kind not in RECORDINGS_REST_ON:
            logger.warning("%s", named)
            self.remove(entry)
            return
        aside = self.root / DAMAGED / f"{entry.kind}-{entry.key[:16]}-{time.time_ns():x}"
        logger.warning("%s, and recordings made from it can no longer be replayed; it is kept in %s", named, aside)
        with self.writing():
            aside.parent.mkdir(parents=True, exist_ok=True)
            entry.path.rename(aside)
        for older in self._paths_aside()[:-MOST_ASIDE]:
            remove_tree(older)

    def aside(self) -> dict[Path, int]:
        """Return the damaged entries that were set aside, the oldest first, with their bytes on disk."""
        return {path: _bytes_below(path) for path in self._paths_aside()}

    def _paths_aside(self) -> list[Path]:
        return sorted((self.root / DAMAGED).glob("*"), key=lambda path: path.name.rpartition("-")[2])

    def entries(self, kind: str | None = None) -> list[Entry]:
        """Return all finished entries, the most recently used first."""
        kinds = tuple(KINDS) if kind is None else (kind,)
        found = [
            entry
            for each in kinds
            if (self.root / each).is_dir()
            for path in (self.root / each).iterdir()
            if (entry := self._read(each, path.name)) is not None
        ]
        return sorted(found, key=lambda entry: entry.used, reverse=True)

    def refs(self) -> dict[str, str]:
        """Return all names, such as `kernel/debian:bookworm`, with the keys that they stand for."""
        found = {}
        for path in (self.root / "refs").glob("*@*"):
            with suppress(OSError, ValueError):
                found[path.name.replace("@", "/").replace("=", ":")] = path.read_text().strip()
        return found

    def ref(self, name: str) -> str | None:
        """Return the key that a name such as `kernel/debian:bookworm` stands for, or None."""
        path = self._ref_path(name)
        # A reader that finds nothing builds anew, and so does one that finds what is not a key.
        return path.read_text(errors="replace").strip() or None if path.is_file() else None

    def set_ref(self, name: str, key: str) -> None:
        """Point a name at a key. The file is replaced by rename, so a reader finds the old key or the new one."""
        path = self._ref_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{key}\n".encode())

    def remove_ref(self, name: str) -> None:
        """Remove a name. The entry that it stands for stays."""
        self._ref_path(name).unlink(missing_ok=True)

    def _ref_path(self, name: str) -> Path:
        return self.root / "refs" / name.replace("/", "@").replace(":", "=")

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of that name, so that two rig processes do not build the same entry at once."""
        from filelock import FileLock

        path = self.root / "locks" / (name.replace("/", "@") + ".lock")
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        lock = FileLock(path)
        _acquire(lock)
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def lock_async(self, name: str) -> AsyncIterator[None]:
        """Hold the lock of that name, like lock(), without blocking the event loop while waiting for it."""
        from filelock import AsyncFileLock, Timeout

        path = self.root / "locks" / (name.replace("/", "@") + ".lock")
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = AsyncFileLock(path, is_singleton=False)
        try:
            await lock.acquire(timeout=SILENT_WAIT)
        except Timeout:
            waits.warning("waiting for another rig process, which holds %s", path)
            await lock.acquire()
        try:
            yield
        finally:
            await lock.release()

    @contextmanager
    def staging_directory(self) -> Iterator[Path]:
        """Yield an empty directory inside the cache, and remove it on exit, also after an error.

        It is on the cache's filesystem, so that add() can rename it. Its name begins with this process's pid, by which
        sweep_leftovers() recognizes the directories of processes that were killed.
        """
        with self.writing():
            (self.root / "tmp").mkdir(parents=True, exist_ok=True)
            path = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=self.root / "tmp"))
            try:
                yield path
            finally:
                remove_tree(path)

    def add(
        self, kind: str, key: str, directory: Path, about: dict[str, Any], known: dict[str, str] | None = None
    ) -> Entry:
        """Move a finished directory (made in `staging_directory()`) into the cache and return its entry.

        An existing entry with a readable manifest is kept instead.
        known: digests of files that the caller computed while it wrote them. Such a file is read again to verify it
        only if it was touched since.
        Raises RigError when the disk is full, and for a malformed key.
        """
        if not is_key(kind, key):
            raise RigError(f"{key[:80]!r} is not a key of the cache", where=self.root / kind[:80])
        target = self.root / kind / key
        known = known or {}
        if known:
            about = {**about, "stamps": {name: _stamp(directory / name) for name in known}}
        files = {
            name: known.get(name) or digest_file(path)
            for path in sorted(directory.rglob("*"))
            if path.is_file() and not path.is_symlink() and (name := str(path.relative_to(directory)))
        }
        with self.writing():
            write_manifest(directory, kind, Manifest(files, about))
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                if self.get(kind, key) is None:
                    remove_tree(target)
                else:
                    return Entry(kind, key, target, files, about)
            # mkdtemp and a strict umask make directories that only their owner can enter; QEMU may run as another user.
            directory.chmod(0o755)
            # A recording rests on its snapshot, so that must outlive a power cut as the recording does.
            if kind not in UNSYNCED:
                sync_tree(directory)
            hold(directory / MANIFEST)
            directory.rename(target)
            sync_directory(target.parent)
        return Entry(kind, key, target, files, about)

    def remove(self, entry: Entry) -> None:
        """Delete an entry, even one that is in use.

        It is renamed first: no reader finds half an entry, and one that is built again at once is not deleted with it.
        """
        try:
            with self.staging_directory() as work:
                entry.path.rename(work / entry.key)
        except (OSError, RigError):
            # A full disk may have no room for the staging directory. Without its manifest the entry is ignored.
            remove_manifest(entry.path)
            remove_tree(entry.path)

    def remove_unused(self, entry: Entry) -> bool:
        """Delete an entry unless it is in use, by this process or another. Return whether it was deleted."""
        with lock_unused(entry.path / MANIFEST) as free:
            if free:
                self.remove(entry)
        return free

    def bound(self) -> int:
        """Return the number of bytes that the cache may hold: RIG_CACHE_SIZE, or the default.

        Branch points are not counted: they have branch_bound().
        Raises RigError where RIG_CACHE_SIZE is not a size.
        """
        return _bound("RIG_CACHE_SIZE", DEFAULT_BOUND)

    def branch_bound(self) -> int:
        """Return the number of bytes that the branch points may take: RIG_BRANCH_SIZE, or the default.

        Each of them is as large as the memory that its guest used.
        Raises RigError where RIG_BRANCH_SIZE is not a size.
        """
        return _bound("RIG_BRANCH_SIZE", BRANCH_BOUND)

    def sweep_leftovers(self) -> int:
        """Remove the staging directories of processes that no longer run, and return their number."""
        count = 0
        for path in (self.root / "tmp").glob("*-*"):
            pid = path.name.split("-")[0]
            if pid.isdigit() and not Path("/proc", pid).exists():
                remove_tree(path)
                count += 1
        return count

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError for a full disk or an unwritable cache into a RigError that names the remedy."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(self.root) from error
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
                raise RigError(
                    f"the cache cannot be written: {error.strerror}",
                    where=error.filename or self.root,
                    remedy="set RIG_CACHE to a directory of yours",
                ) from error
            raise

    def describe_size(self) -> str:
        """Return the total size in words."""
        total = sum(entry.size for entry in self.entries()) + sum(self.aside().values())
        return format_size(total >> 20 << 20)
