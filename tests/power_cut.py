# SPDX-License-Identifier: MIT
"""Cut the power at every write of a function, on a disk that keeps what was not synced in any order, or not at all.

The function writes to a real directory. The calls that order writes (fsync, rename, link, unlink) are watched, and
between two of them the directory is compared with what it was. A name that was made or removed is *pending* until its
directory is synced; content is *pending* until its file is synced. After a cut each pending name may be on the disk or
not, in any combination, and a pending file may be empty, half, or zeros of its length (POSIX promises no more).
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

MOST_DISKS = 60
"""Disks that are tried after a cut; of more, these many are drawn with a fixed seed."""
CALLS = ("fsync", "fdatasync", "rename", "replace", "link", "unlink")


@dataclass(frozen=True)
class Change:
    """A change of a directory's names that is not synced. inode: None where the name was removed."""

    directory: int
    name: str
    inode: int | None


@dataclass
class Disk:
    """What is surely on the disk, and what may be. Directories and files are named by inode.

    directories: the names of each directory that are synced.
    synced, written: the content of each file that is synced, and that is written.
    """

    top: int
    directories: dict[int, dict[str, int]] = field(default_factory=dict)
    synced: dict[int, bytes] = field(default_factory=dict)
    written: dict[int, bytes] = field(default_factory=dict)
    pending: list[tuple[Change, ...]] = field(default_factory=list)

    def copy(self) -> Disk:
        return Disk(
            self.top,
            {inode: dict(names) for inode, names in self.directories.items()},
            dict(self.synced),
            dict(self.written),
            list(self.pending),
        )

    def sync(self, inode: int) -> None:
        if inode in self.written:
            self.synced[inode] = self.written[inode]
        for changes in [each for each in self.pending if any(change.directory == inode for change in each)]:
            # A rename is one change of two directories: journals keep both halves together.
            self._apply(self.directories, changes)
            self.pending.remove(changes)

    @staticmethod
    def _apply(directories: dict[int, dict[str, int]], changes: tuple[Change, ...]) -> None:
        for change in changes:
            names = directories.setdefault(change.directory, {})
            if change.inode is None:
                names.pop(change.name, None)
            else:
                names[change.name] = change.inode

    def after_a_cut(self, kept: frozenset[int], lost: str) -> dict[str, bytes | None]:
        """Return what is on the disk: path -> content, None for a directory.

        kept: the numbers of the pending changes that were written.
        """
        directories = {inode: dict(names) for inode, names in self.directories.items()}
        for number in sorted(kept):
            self._apply(directories, self.pending[number])
        return dict(self._tree(directories, self.top, "", lost))

    def _tree(
        self, directories: dict[int, dict[str, int]], inode: int, path: str, lost: str
    ) -> Iterator[tuple[str, bytes | None]]:
        for name, child in directories.get(inode, {}).items():
            if child in self.written:
                yield path + name, self._content(child, lost)
            else:
                yield path + name, None
                yield from self._tree(directories, child, f"{path}{name}/", lost)

    def _content(self, inode: int, lost: str) -> bytes:
        written, synced = self.written[inode], self.synced.get(inode, b"")
        if written == synced:
            return written
        if lost == "all":
            return synced
        # An append keeps what was there; other content may be lost from its first byte.
        safe = len(synced) if written.startswith(synced) else 0
        if lost == "half":
            return written[: safe + (len(written) - safe) // 2]
        return written[:safe] + bytes(len(written) - safe) if lost == "zeros" else written


class Recorder:
    """Watch the writes of a function below a directory. disks: what the disk was at each moment."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.disk = Disk(top.stat().st_ino)
        self._names: dict[int, dict[str, int]] = {}
        self._look()
        # What is there at the start is synced.
        self.disk.directories = {inode: dict(names) for inode, names in self._names.items()}
        self.disk.synced = dict(self.disk.written)
        self.disk.pending = []
        self.disks = [self.disk.copy()]

    def _scan(self, directory: Path, found: dict[int, dict[str, int]]) -> None:
        names = found.setdefault(directory.stat().st_ino, {})
        for path in sorted(directory.iterdir()):
            about = path.lstat()
            names[path.name] = about.st_ino
            if stat.S_ISDIR(about.st_mode):
                self._scan(path, found)
            elif stat.S_ISREG(about.st_mode):
                self.disk.written[about.st_ino] = path.read_bytes()

    def _look(self) -> list[Change]:
        """Return the changes of names since the last look."""
        found: dict[int, dict[str, int]] = {}
        self._scan(self.top, found)
        changes = []
        for directory in self._names | found:
            before, now = self._names.get(directory, {}), found.get(directory, {})
            changes += [Change(directory, name, None) for name in before.keys() - now.keys()]
            changes += [Change(directory, name, now[name]) for name in now if before.get(name) != now[name]]
        self._names = found
        return changes

    def note(self) -> None:
        """Take in what changed without a call that is watched, each change for itself."""
        self.disk.pending += [(change,) for change in self._look()]
        self.disks.append(self.disk.copy())

    def called(self, name: str, descriptor: object) -> None:
        """Take in a call that was made. descriptor: of the file that was synced."""
        if name in ("fsync", "fdatasync") and isinstance(descriptor, int):
            inode = os.fstat(descriptor).st_ino
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and inode not in self.disk.written:
                # It has no name yet (O_TMPFILE).
                self.disk.written[inode] = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            self.disk.sync(inode)
        elif changes := self._look():
            # A rename or a link is one change, however many names it touches.
            self.disk.pending.append(tuple(changes))
        self.disks.append(self.disk.copy())


@contextmanager
def recorded(top: Path) -> Iterator[Recorder]:
    """Record the writes below `top` until the end of the block."""
    recorder = Recorder(top)
    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, _watched(recorder, name, getattr(os, name)))
        yield recorder
    recorder.note()


def _watched(recorder: Recorder, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*words: Any, **options: Any) -> Any:
        recorder.note()
        result = call(*words, **options)
        recorder.called(name, words[0] if words else None)
        return result

    return watched


def cuts(recorder: Recorder, work: Path) -> Iterator[Path]:
    """Yield a directory for each state in which a power cut may leave the disk."""
    chance, numbers = random.Random(1), count()
    seen = set()
    for disk in recorder.disks:
        size = len(disk.pending)
        subsets: set[frozenset[int]] = {frozenset(), frozenset(range(size))}
        for bits in (
            range(1 << size) if 1 << size <= MOST_DISKS else (chance.getrandbits(size) for _ in range(MOST_DISKS))
        ):
            subsets.add(frozenset(number for number in range(size) if bits >> number & 1))
        for subset in sorted(subsets, key=sorted):
            for lost in ("all", "half", "zeros", "nothing"):
                content = disk.after_a_cut(subset, lost)
                if (key := tuple(sorted(content.items(), key=lambda pair: pair[0]))) in seen:
                    continue
                seen.add(key)
                target = work / f"disk-{next(numbers)}"
                target.mkdir()
                for name, data in content.items():
                    (target / name).mkdir() if data is None else (target / name).write_bytes(data)
                yield target
                shutil.rmtree(target)
