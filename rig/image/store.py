# SPDX-License-Identifier: MIT
"""The cache of kernels, images and snapshots. An entry is built in a staging directory and renamed into place.

An entry is a directory `<kind>/<key>` with its files and a manifest that names each file's SHA-256.
Readers ignore a directory without a manifest, so a half-built entry is never used.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from rig.disk import FULL, bytes_below, disk_full, written_path
from rig.errors import RigError
from rig.image.aside import keep_newest, move_aside, name_aside, paths_aside
from rig.image.cache_lock import hold_lock, hold_lock_async
from rig.image.digest import digest_file
from rig.image.entry import Entry, is_key, stamp_of
from rig.image.kinds import KINDS
from rig.image.manifest import MANIFEST, Manifest, put_back, read_manifest, remove_manifest, write_manifest
from rig.in_use import hold, lock_unused
from rig.locked_directory import remove_abandoned
from rig.remove_tree import make_directory, new_name, remove_tree
from rig.units import format_size
from rig.whole_file import remove_partials, sync_directory, sync_tree, write_whole

__all__ = ["Store"]

logger = logging.getLogger(__name__)
UNSYNCED = ("branch", "payload")
"""The kinds that add() does not sync, because a run would wait for the disk: they are verified after a boot.

A payload is made again to the byte. A branch point is synced by sync() once a recording is made that rests on it.
"""
RECORDINGS_REST_ON = ("snapshot", "branch", "imported")
"""The kinds that cannot be built a second time to the byte."""


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

        The newest are kept in the directory `damaged` of the cache (aside.py).
        """
        named = f"the cached {entry.kind} was damaged on disk ({', '.join(lost)}): it is built again"
        if entry.kind not in RECORDINGS_REST_ON:
            logger.warning("%s", named)
            self.remove(entry)
            return
        aside = name_aside(self.root, entry)
        logger.warning("%s, and recordings made from it can no longer be replayed; it is kept in %s", named, aside)
        with self.writing():
            move_aside(entry, aside)
        keep_newest(self.root)

    def aside(self) -> dict[Path, int]:
        """Return the damaged entries that were set aside, the oldest first, with their bytes on disk."""
        return {path: bytes_below(path) for path in paths_aside(self.root)}

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
    def lock(self, name: str, deadline: float) -> Iterator[None]:
        """Hold the lock of that name; see cache_lock.py. deadline: host seconds for the work that is done under it."""
        with hold_lock(self._lock_path(name), deadline):
            yield

    @asynccontextmanager
    async def lock_async(self, name: str, deadline: float) -> AsyncIterator[None]:
        """Hold the lock of that name, without blocking the event loop while waiting for it."""
        async with hold_lock_async(self._lock_path(name), deadline):
            yield

    def _lock_path(self, name: str) -> Path:
        path = self.root / "locks" / (name.replace("/", "@") + ".lock")
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return path

    @contextmanager
    def staging_directory(self) -> Iterator[Path]:
        """Yield an empty directory inside the cache, and remove it on exit, also after an error.

        It is on the cache's filesystem, so that add() can rename it. Its name begins with this process's pid, by which
        sweep_leftovers() recognizes the directories of processes that were killed.
        """
        with self.writing():
            (self.root / "tmp").mkdir(parents=True, exist_ok=True)
            path = self.root / "tmp" / new_name(f"{os.getpid()}-")
            make_directory(path, lambda path: path.mkdir(mode=0o700))
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
            about = {**about, "stamps": {name: stamp_of(directory / name) for name in known}}
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
            # Its maker, or a strict umask, let only the owner enter a directory; QEMU may run as another user.
            directory.chmod(0o755)
            # A recording rests on its snapshot, so that must outlive a power cut as the recording does.
            if kind not in UNSYNCED:
                sync_tree(directory)
            # Held before it can be found, so that no other rig evicts it before its maker has used it.
            hold(directory / MANIFEST)
            directory.rename(target)
            sync_directory(target.parent)
            if kind not in UNSYNCED:
                # The first entry of a kind has made the directory of that kind too.
                sync_directory(self.root)
        return Entry(kind, key, target, files, about)

    def sync(self, path: Path) -> None:
        """Sync the directory of an entry, with its name, before something is kept that rests on it.

        Raises RigError when the disk is full.
        """
        with self.writing():
            sync_tree(path)
            for parent in (path.parent, path.parent.parent):
                sync_directory(parent)

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

    def remove_unused(self, entry: Entry, *, asked: bool = False) -> bool:
        """Delete an entry unless it is in use, by this process or another. Return whether it was deleted.

        asked: whether the user asked for it. Then RigError is raised where the cache does not let the user remove it.
        """
        with self.writing(), lock_unused(entry.path / MANIFEST, asked=asked) as free:
            if free:
                self.remove(entry)
        return free

    def sweep_leftovers(self) -> int:
        """Remove the staging directories and unfinished files of processes that no longer run; return their number."""
        return len(remove_partials(self.root)) + self.sweep_staging()

    def sweep_staging(self, *, older: float = 0.0) -> int:
        """Remove the staging directories of processes that no longer run; return their number.

        older: host seconds since the last write in them. A process of another host or container that shares the cache
            seems not to run.
        """
        paths = (path for path in (self.root / "tmp").glob("*-*") if path.name.split("-")[0].isdigit())
        return len(remove_abandoned(paths, _maker_has_gone, older=older))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Turn an OSError for a full disk or an unwritable cache into a RigError that names the remedy."""
        try:
            yield
        except OSError as error:
            written = written_path(error)
            if error.errno in FULL:
                # What fails within the block may be a write into another directory than the cache.
                outside = written is not None and not Path(written).is_relative_to(self.root)
                raise disk_full(written if outside else None, self.root) from error
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
                raise RigError(
                    f"the cache cannot be written: {error.strerror}",
                    where=written or self.root,
                    remedy="set RIG_CACHE to a directory of yours",
                ) from error
            raise

    def describe_size(self) -> str:
        """Return the total size in words."""
        total = sum(entry.size for entry in self.entries()) + sum(self.aside().values())
        return format_size(total >> 20 << 20)


def _maker_has_gone(path: Path) -> AbstractContextManager[bool]:
    return nullcontext(not Path("/proc", path.name.split("-")[0]).exists())
