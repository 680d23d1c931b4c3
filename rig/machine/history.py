# SPDX-License-Identifier: MIT
"""The snapshot of a replay that going backwards starts from: QEMU's own, on a disk that no guest sees.

QEMU goes back by loading the last snapshot before and replaying from there (replay/replay-debugging.c). With 7.2 only
one taken at the start goes on: one from the middle of a replay loads, and then runs no instruction.
"""

from __future__ import annotations

import os
import pwd
import struct
from pathlib import Path

from rig.errors import RigError
from rig.machine.qmp import DUMP_DEADLINE, Monitor

__all__ = ["take_first_snapshot", "write_empty_qcow2"]

CLUSTER = 1 << 16
SIZE = 1 << 32
PER_TABLE = 512 << 20
"""Bytes that one entry of the first-level table covers, at clusters of 64 KiB."""


def write_empty_qcow2(path: Path, owner: str | None) -> None:
    """Write an empty image (docs/interop/qcow2.txt, version 2): header, reference counts, first-level table.

    owner: the user to whom QEMU drops, who opens it again.
    """
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb", 2, 0, 0, 16, SIZE, 0, SIZE // PER_TABLE, 3 * CLUSTER, CLUSTER, 1, 0, 0,
    )  # fmt: skip
    table = struct.pack(">Q", 2 * CLUSTER)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    path.write_bytes(b"".join(part.ljust(CLUSTER, b"\0") for part in (header, table, counts, b"")))
    path.chmod(0o600)
    if owner is not None:
        os.chown(path, pwd.getpwnam(owner).pw_uid, -1)
        path.parent.chmod(0o711)


async def take_first_snapshot(monitor: Monitor) -> None:
    """Take the snapshot of a replay before its first instruction. Raises RigError when the disk is full."""
    # savevm as a QMP job wants a loop of events; the human command is done when it answers.
    said = (await monitor.human("savevm start", deadline=DUMP_DEADLINE)).strip()
    if said:
        remedy = "free some space in the folder for temporary files, or use --no-reverse"
        raise RigError(f"QEMU refused a snapshot: {said}", where="replay", remedy=remedy)
