# SPDX-License-Identifier: MIT
"""Restore a guest from its snapshot or from a branch point."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from rig.image.sparse import copy_sparse
from rig.machine.features import MIGRATE_TO_FILE, has
from rig.machine.qemu import Qemu
from rig.machine.session import Listeners, Session, started
from rig.machine.snapshot import Snapshot, SnapshotFiles
from rig.machine.spec import GuestSpec, RamFile, Wiring

__all__ = ["as_restored", "restored"]


def as_restored(spec: GuestSpec, wiring: Wiring, snapshot: SnapshotFiles) -> tuple[GuestSpec, Wiring]:
    """Return spec and wiring with the snapshot's files in place of the files that the guest boots from."""
    ram = None if snapshot.ram is None else RamFile(snapshot.ram)
    return replace(spec, kernel=snapshot.head or spec.kernel), replace(wiring, ram=ram)


@contextmanager
def _copied_memory(ram: Path | None) -> Iterator[int | None]:
    """Yield a memfd with a copy of a snapshot's memory, or None if QEMU can open the file itself.

    QEMU 7.2 opens the file for reading and writing although it maps it privately: in a read-only cache it ends at once.
    """
    if ram is None or os.access(ram, os.W_OK):
        yield None
        return
    descriptor = os.memfd_create("rig-ram", os.MFD_CLOEXEC)
    try:
        with ram.open("rb") as file:
            copy_sparse(file.fileno(), Path(f"/proc/self/fd/{descriptor}"))
        yield descriptor
    finally:
        os.close(descriptor)


@asynccontextmanager
async def restored(
    spec: GuestSpec,
    wiring: Wiring,
    qemu: Qemu,
    out: Path,
    listeners: Listeners,
    snapshot: Snapshot,
    *,
    memory: int | None = None,
    scale: float = 1.0,
) -> AsyncIterator[Session]:
    """Restore a guest from its snapshot and yield it with its CPUs stopped.

    memory: an open copy of the snapshot's memory, which the guest maps shared, so that it can be saved again.
    scale: multiplies the deadlines, for slow machines.
    Raises RigError when QEMU does not start or does not take the snapshot.
    """
    spec, wiring = as_restored(spec, wiring, snapshot)
    with snapshot.state.open("rb") as state, _copied_memory(None if memory is not None else snapshot.ram) as copy:
        if memory is not None:
            wiring = replace(wiring, ram=RamFile(Path(f"/proc/self/fd/{memory}"), kept=True))
        elif copy is not None:
            memory = copy
            wiring = replace(wiring, ram=RamFile(Path(f"/proc/self/fd/{copy}")))
        async with started(
            spec,
            wiring,
            qemu,
            out,
            listeners,
            records_before=snapshot.records_before,
            console_before=snapshot.console_before,
            state=state.fileno(),
            memory=memory,
            scale=scale,
        ) as session:
            await session.monitor.migrate("in", state.fileno(), to_file=has(qemu, MIGRATE_TO_FILE))
            yield session
