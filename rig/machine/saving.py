# SPDX-License-Identifier: MIT
"""Save a stopped guest: its memory into a file that QEMU maps shared, and the state of its devices into a stream."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rig.disk import disk_full, is_full, says_full
from rig.errors import RigError
from rig.finishing import within
from rig.machine.command import memory_is_a_file
from rig.machine.features import MIGRATE_TO_FILE, has
from rig.machine.qemu import Qemu
from rig.machine.qmp import STILL_DEADLINE
from rig.machine.session import Session
from rig.machine.spec import GuestSpec

__all__ = ["guest_memory", "quit_saved", "save_state", "saving_deadline"]

QUIT_DEADLINE = 20.0
"""Host seconds within which QEMU must exit after `quit`."""
SLOW_DISK = 5e6
"""Bytes a second that even a memory card or a busy network disk writes."""


@contextmanager
def guest_memory(spec: GuestSpec) -> Iterator[int | None]:
    """Yield a memfd for the guest's memory, or None if rig does not back that memory with a file.

    The kernel would write the dirty pages of a file on a disk back while the guest boots.
    """
    if not memory_is_a_file(spec):
        yield None
        return
    descriptor = os.memfd_create("rig-ram", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, spec.memory)
        yield descriptor
    finally:
        os.close(descriptor)


def saving_deadline(spec: GuestSpec) -> float:
    """Return the host seconds, before they are scaled, within which a stopped guest is in the cache.

    QEMU's own part has its deadlines. The time to copy the memory is that of a slow disk.
    """
    return STILL_DEADLINE + QUIT_DEADLINE + spec.memory / SLOW_DISK


async def save_state(session: Session, descriptor: int, qemu: Qemu, cache: Path) -> None:
    """Write a stopped guest's devices to an open file in the cache.

    Raises RigError when QEMU fails or the disk is full.
    """
    try:
        await session.monitor.migrate("out", descriptor, to_file=has(qemu, MIGRATE_TO_FILE))
    except RigError as error:
        if is_full(cache) or says_full(str(error)):
            raise disk_full(cache, detail=session.process.words().strip() or str(error)) from error
        raise


async def quit_saved(session: Session) -> None:
    """End the QEMU of a saved guest, and wait until it has exited.

    If QEMU does not exit in time, started() kills it at the end of its block.
    """
    await session.monitor.execute("quit")
    with suppress(TimeoutError):
        await within(QUIT_DEADLINE * session.scale, session.process.wait())
