# SPDX-License-Identifier: MIT
"""An entry of the cache: its key, its files, and whether they are still what they were when they were added."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from rig.image.digest import digest_once
from rig.image.kinds import KINDS
from rig.image.manifest import COPIES, MANIFEST, read_verified, write_verified

__all__ = ["Entry", "boot_id", "is_key", "stamp_of"]

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
        return self._stamps.get(name) == stamp_of(self.path / name)

    @cached_property
    def _stamps(self) -> dict[str, Any]:
        added = self.about.get("stamps")
        return {**(added if isinstance(added, dict) else {}), **read_verified(self.path)}

    def stamps_now(self) -> dict[str, Any]:
        """Return the stamp of each file that would be read to verify it."""
        names = (name for name in self.files if (self.path / name).is_file())
        return {name: stamp_of(self.path / name) for name in names if not self._is_untouched(name)}

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


def stamp_of(path: Path) -> list[int | str]:
    """Return what changes when a file is written to or replaced, and when the host is booted.

    After a power cut a file may have its size and its times, and not its content.
    """
    status = path.stat()
    return [boot_id(), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
