# SPDX-License-Identifier: MIT
"""Refuse what a disk has no room for before it is written, and what memory has none for where the disk is in memory."""

from __future__ import annotations

import os
from pathlib import Path

from rig.disk import no_room
from rig.experiment.capacity import KEPT_FREE, available_memory
from rig.units import format_megabytes

__all__ = ["Room"]

RESERVE, ONE_IN = 64 << 20, 20
"""Bytes that stay free on a disk, so that other programs can go on: RESERVE, and of a small disk one in ONE_IN."""
LOOK_EVERY = 16 << 20
"""Bytes that are written between two looks at the disk."""
IN_MEMORY = ("tmpfs", "ramfs")


class Room:
    """The room for an archive's files in a directory.

    An archive states what it takes, and may state too little: the room is looked at again as it shrinks.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._there = next(path for path in (directory, *directory.parents) if path.exists())
        self._in_memory = _filesystem(self._there) in IN_MEMORY
        self._unseen = 0

    @property
    def device(self) -> int:
        """The device number of the disk, as stat(2) reports it."""
        return self._there.stat().st_dev

    def need(self, size: int) -> None:
        """Raise RigError unless there is room for so many bytes more."""
        free = self._free()
        if size > free:
            needed = f"it takes {format_megabytes(size)}, and " if size else ""
            where = " in this directory, which is in memory" if self._in_memory else ""
            raise no_room(
                f"there is no room for what the archive holds: {needed}{format_megabytes(max(free, 0))} may be"
                f" used{where}",
                self._directory,
            )

    def take(self, size: int) -> None:
        """Account for bytes that were written. Raises RigError when there is no room for more."""
        self._unseen += size
        if self._unseen >= LOOK_EVERY:
            self.need(0)
            self._unseen = 0

    def _free(self) -> int:
        found = os.statvfs(self._there)
        free = found.f_bavail * found.f_frsize - min(RESERVE, found.f_blocks * found.f_frsize // ONE_IN)
        if not self._in_memory:
            return free
        # ramfs has no size: it reports 0 of 0 blocks.
        of_memory = available_memory() - KEPT_FREE
        return min(free, of_memory) if found.f_blocks else of_memory


def _filesystem(path: Path) -> str:
    """Return the type of the filesystem that a path is on; empty where the kernel does not say."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    # Fields of a line: mount's id, parent's id, device, root, mount point, options, optional fields, "-", type, …
    # (Documentation/filesystems/proc.rst, section 3.5).
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        mount, _, filesystem = line.partition(" - ")
        if mount.split()[2] == wanted:
            return filesystem.split()[0]
    return ""
