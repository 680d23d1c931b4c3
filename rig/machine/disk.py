# SPDX-License-Identifier: MIT
"""The guest's disk for files: an ext4 on a sparse file, whose files are page cache in the guest."""

from __future__ import annotations

from pathlib import Path

from rig.errors import RigError
from rig.image.hosttools import tool
from rig.image.programs import run_program
from rig.machine.spec import GuestSpec

__all__ = ["DISK_LABEL", "disk_file"]

DISK_LABEL = "rig-disk"
DISK_UUID = "7d5a1c2e-0b5f-4c57-9a51-2f3f6f1c9d10"


def disk_file(spec: GuestSpec, directory: Path, *, blank: bool = False) -> Path | None:
    """Make the sparse file of the guest's disk and return its path, or None for a guest without a disk.

    It holds an empty ext4 with the label DISK_LABEL. With `blank` it holds zeros, as it does when a snapshot is made.
    Raises RigError when mke2fs fails.
    """
    if not spec.disk:
        return None
    path = directory / "disk"
    with path.open("wb") as file:
        file.truncate(spec.disk)
    if not blank:
        # Without lazy initialisation, or else the guest's kernel would write the inode tables in the background. UUID
        # and hash seed are fixed, so that the order of names in a directory is the same in every run.
        words = [
            tool("mke2fs"), "-q", "-F", "-t", "ext4", "-L", DISK_LABEL, "-U", DISK_UUID,
            "-E", f"lazy_itable_init=0,lazy_journal_init=0,hash_seed={DISK_UUID}", str(path),
        ]  # fmt: skip
        done = run_program(words)
        if done.returncode:
            raise RigError(
                "the disk could not be formatted", where="mke2fs", detail=done.stderr[-2000:].decode(errors="replace")
            )
    return path
