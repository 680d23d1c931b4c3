# SPDX-License-Identifier: MIT
"""The snapshot that reverse execution of a replay starts from: a QEMU snapshot on a disk that the guest cannot see.

For a reverse step QEMU loads the last earlier snapshot and replays forward from it (replay/replay-debugging.c). With
QEMU 7.2 this works only for a snapshot that was taken at the start of the replay. One that was taken later loads, and
then the guest executes no instruction.
"""

from __future__ import annotations

import os
import pwd
import struct
from pathlib import Path

from rig.errors import RigError
from rig.machine.features import ACTIVATE_IMAGES, has
from rig.machine.qemu import Qemu
from rig.machine.qmp import DUMP_DEADLINE, Monitor

__all__ = ["take_first_snapshot", "write_empty_qcow2"]

CLUSTER = 1 << 16
SIZE = 1 << 32
PER_TABLE = 512 << 20
"""Bytes of disk that one L1 table entry covers: 8192 L2 entries of one 64 KiB cluster each."""


def write_empty_qcow2(path: Path, owner: str | None) -> None:
    """Write an empty qcow2 image of version 2 (QEMU's docs/interop/qcow2.txt).

    Its clusters are the header, the refcount table, one refcount block and the L1 table.
    owner: the user to which QEMU drops its privileges; as that user QEMU reopens the image.
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


async def take_first_snapshot(monitor: Monitor, qemu: Qemu) -> None:
    """Take a snapshot of the replay before its first instruction. Raises RigError when the disk is full."""
    if has(qemu, ACTIVATE_IMAGES):
        await monitor.execute("blockdev-set-active", active=True)
    # QMP's snapshot-save is a job whose end comes as an event. The human monitor's savevm is finished when it answers.
    answer = (await monitor.human("savevm start", deadline=DUMP_DEADLINE)).strip()
    if answer:
        remedy = "free some space in the directory for temporary files, or use --no-reverse"
        raise RigError(f"QEMU refused a snapshot: {answer}", where="replay", remedy=remedy)
