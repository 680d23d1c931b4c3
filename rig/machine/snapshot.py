# SPDX-License-Identifier: MIT
"""A guest that is ready and waits for its payload, saved once and restored for every run.

A snapshot's key is the hash of its identity (identity.py), which is kept beside it.

The guest's memory is a file of its own beside the state of its devices. While the snapshot is made QEMU shares that
file, so the capability x-ignore-shared leaves it out of the migration stream; a restored guest maps it privately: a
page is the page cache's, and all guests', until the guest writes to it, and no memory is read before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.image.daximage import write_blank
from rig.image.hosttools import disk_full
from rig.image.payload import blank_payload
from rig.image.sparse import SUFFIX, copy_sparse
from rig.image.store import Entry, Store
from rig.machine.command import memory_is_a_file
from rig.machine.features import MIGRATE_TO_FILE, has
from rig.machine.identity import Identity, differences, identity_of, key_of
from rig.machine.qemu import Qemu
from rig.machine.session import DRAIN_DEADLINE, Listeners, Session, runtime_folder, started, swap_file
from rig.machine.spec import Clock, GuestSpec, Wiring

__all__ = [
    "Patience",
    "Snapshot",
    "SnapshotFiles",
    "as_restored",
    "expected_snapshot",
    "find_snapshot",
    "imported_snapshot",
    "kept_identity",
    "make_snapshot",
    "nearest_snapshots",
    "restored",
]

STATE = "state"
RAM = "ram" + SUFFIX
HEAD = "kernel.head"
BOOT_LOG = "boot.log"
READY = "ready.jsonl"
QUIT_DEADLINE = 20.0
"""Host seconds from `quit` to QEMU's exit."""
LOOK_EVERY = 0.25
QUEUE_ENTRIES, PORT_ENTRIES = 32, 128
"""Of virtio-serial's control queue and of a port's queue (hw/char/virtio-serial-bus.c). Debian's 10.0.13 gives every
virtqueue of every device 1024, whatever the device asks for.
"""
LARGEST_READY = 64 << 10


@dataclass(frozen=True)
class Patience:
    """How long a boot may take that may not come at all. Host seconds.

    silent: without a byte on the console; total: in all, while the console grows.
    """

    silent: float
    total: float

    def scaled(self, scale: float) -> Patience:
        """Return it for a machine that is slower by that factor."""
        return Patience(self.silent * scale, self.total * scale)


@dataclass(frozen=True)
class SnapshotFiles:
    """The files of a snapshot that QEMU's command line names.

    ram: the guest's memory, None where it is in the migration stream; head: the first sectors of a bzImage, None for a
    kernel of another format.
    """

    key: str
    ram: Path | None
    head: Path | None


@dataclass(frozen=True)
class Snapshot(SnapshotFiles):
    """A guest that was saved when its agent was ready.

    identity: None where an earlier version of rig made it.
    state: the migration stream. digest: the memory's, or the stream's where that holds the memory.
    ready: the agent's record, ready_line: the same as it was printed. boot_log: the console until then.
    """

    identity: Identity | None
    state: Path
    digest: str
    boot_log: Path
    ready: dict[str, Any]
    ready_line: bytes
    queue_entries: int | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What this QEMU does differently from others that the guest's memory shows."""
        if self.queue_entries is None or self.queue_entries <= QUEUE_ENTRIES:
            return ()
        # drivers/char/virtio_console.c fills the control queue and the queue of the one open port, a page an entry.
        extra = 2 * self.queue_entries - QUEUE_ENTRIES - PORT_ENTRIES
        return (
            f"this QEMU gives virtio-serial queues of {self.queue_entries} entries in place of {QUEUE_ENTRIES} and"
            f" {PORT_ENTRIES}: their buffers take {extra >> 8} MB more of the guest's memory (Slab)",
        )


def find_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot, checked by hash, or None. A damaged one is thrown away and logged."""
    entry = store.get_verified("snapshot", key)
    if entry is None:
        return None
    entry.touch()
    return _from_entry(entry)


def kept_identity(entry: Entry) -> Identity | None:
    """Return the identity that is kept beside a snapshot, None where an earlier version made it."""
    found = entry.about.get("identity")
    return found if isinstance(found, dict) else None


def nearest_snapshots(store: Store, identity: Identity) -> list[tuple[Entry, list[str]]]:
    """Return the other snapshots of the cache with their differences to an identity, the most alike first."""
    found = [
        (entry, differences(kept, identity))
        for entry in store.entries("snapshot")
        if (kept := kept_identity(entry)) is not None and kept != identity
    ]
    return sorted(found, key=lambda pair: len(pair[1]))


def imported_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot that came with an imported run, or None. It is restored for a replay of that run alone."""
    entry = store.get_verified("imported", key)
    if entry is None or not {STATE, BOOT_LOG, READY} <= entry.files.keys():
        return None
    entry.touch()
    try:
        return _from_entry(entry)
    except (ValueError, RecursionError):
        # The agent's line is somebody else's.
        return None


def _from_entry(entry: Entry) -> Snapshot:
    with entry.file(READY).open("rb") as file:
        line = file.read(LARGEST_READY)
    ram = entry.file(RAM) if RAM in entry.files else None
    digest = entry.files[RAM if ram else STATE]
    head = entry.file(HEAD) if HEAD in entry.files else None
    return Snapshot(
        key=entry.key,
        identity=kept_identity(entry),
        ram=ram,
        head=head,
        state=entry.file(STATE),
        digest=digest,
        boot_log=entry.file(BOOT_LOG),
        ready=json.loads(line),
        ready_line=line,
        queue_entries=entries if isinstance(entries := entry.about.get("queue_entries"), int) else None,
    )


def expected_snapshot(store: Store, spec: GuestSpec, qemu: Qemu) -> SnapshotFiles:
    """Return the files that the guest's snapshot has, or will have when it is made."""
    key = key_of(identity_of(spec, qemu))
    folder = store.root / "snapshot" / key
    return SnapshotFiles(
        key=key,
        ram=folder / RAM if memory_is_a_file(spec) else None,
        head=folder / HEAD if _head(spec.kernel) else None,
    )


async def make_snapshot(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    *,
    deadline: float | Patience,
    scale: float = 1.0,
    listeners: Listeners | None = None,
) -> Snapshot:
    """Boot the guest over a blank payload, stop it as soon as the agent is ready, and save it.

    deadline: host seconds for the boot, or a patience; scale: multiplies all others.
    Raises GuestError when it does not get there.
    """
    identity = identity_of(spec, qemu)
    key = key_of(identity)
    with store.staging_directory() as work, runtime_folder(key) as folder, _memory(spec) as memory:
        blank = work / "payload"
        blank_payload(blank)
        result = work / "result"
        result.mkdir()
        wiring = Wiring(
            name=key[:12],
            folder=folder,
            payload=blank,
            swap=swap_file(spec, work),
            shell=spec.clock is Clock.LIVE,
            ram=None if memory is None else Path(f"/proc/self/fd/{memory}"),
            ram_kept=True,
            blank_layers=_blank_layers(spec, work / "layers"),
        )
        with (result / STATE).open("wb") as state:
            heard = listeners or Listeners()
            async with started(
                spec, wiring, qemu, work, heard, state=state.fileno(), memory=memory, scale=scale
            ) as session:
                await session.monitor.execute("cont")
                ready = await _ready(session, deadline)
                # In warp a guest that waits lets its clock run on.
                await session.monitor.execute("stop")
                entries = await _queue_entries(session)
                await _save(session, state.fileno(), qemu, store.root)
                await session.monitor.execute("quit")
                # What does not end by itself is ended at the end of the block.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(session.process.wait(), QUIT_DEADLINE * scale)
                session.console.drain(DRAIN_DEADLINE)
        if memory is not None:
            await asyncio.to_thread(copy_sparse, memory, result / RAM)
        if head := _head(spec.kernel):
            (result / HEAD).write_bytes(head)
        shutil.copyfile(work / "console.log", result / BOOT_LOG)
        (result / READY).write_bytes((work / "events.jsonl").read_bytes().split(b"\n")[0] + b"\n")
        about = {"kernel": ready.get("kernel"), "identity": identity, "queue_entries": entries}
        return _from_entry(store.add("snapshot", key, result, about))


async def _ready(session: Session, deadline: float | Patience) -> dict[str, Any]:
    """Wait for the agent's first record. Raises GuestError."""
    if isinstance(deadline, float | int):
        return await session.record("ready", deadline)
    began = grew = time.monotonic()
    size = 0
    record = asyncio.ensure_future(session.record("ready", deadline.total + 60))
    try:
        while True:
            await asyncio.wait({record}, timeout=LOOK_EVERY)
            if record.done():
                return record.result()
            now, last, size = time.monotonic(), size, session.console_log.stat().st_size
            if size != last:
                grew = now
            if now - grew > deadline.silent:
                raise session.failure("the guest's agent did not say 'ready', and its console is silent")
            if now - began > deadline.total:
                raise session.failure("the guest's agent did not say 'ready', though its console went on")
    finally:
        record.cancel()


async def _queue_entries(session: Session) -> int | None:
    """Return how many entries QEMU gave the control queue of virtio-serial, None where it does not say."""
    try:
        path = "/machine/peripheral/vs/virtio-backend"
        status = await session.monitor.execute("x-query-virtio-queue-status", path=path, queue=2)
        return int(status["vring-num-default"])
    except (RigError, KeyError, TypeError, ValueError):
        return None


def _blank_layers(spec: GuestSpec, folder: Path) -> Path | None:
    if not spec.layers:
        return None
    folder.mkdir()
    for size in {layer.size for layer in spec.layers}:
        write_blank(folder / str(size), size)
    return folder


@contextmanager
def _memory(spec: GuestSpec) -> Iterator[int | None]:
    """Yield an open file in memory for the guest's: on a disk, the pages would be written out while it boots."""
    if not memory_is_a_file(spec):
        yield None
        return
    descriptor = os.memfd_create("rig-ram", os.MFD_CLOEXEC)
    try:
        os.ftruncate(descriptor, spec.memory)
        yield descriptor
    finally:
        os.close(descriptor)


def _head(kernel: Path) -> bytes:
    """Return the part of a bzImage that QEMU reads before it starts: real-mode code and one more piece.

    A guest that runs has its kernel in memory and never reads it again; QEMU would hold a copy of all of it, 14 MB a
    guest. The header is that of Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, the magic at 0x202. Empty for a
    kernel of another format.
    """
    with kernel.open("rb") as file:
        start = file.read(0x206)
        if len(start) < 0x206 or start[0x202:] != b"HdrS":
            return b""
        file.seek(0)
        return file.read(((start[0x1F1] or 4) + 2) * 512)


async def _save(session: Session, descriptor: int, qemu: Qemu, cache: Path) -> None:
    try:
        await session.monitor.migrate("out", descriptor, to_file=has(qemu, MIGRATE_TO_FILE))
    except RigError as error:
        numbers = os.fstatvfs(descriptor)
        if "No space left" in str(error) or numbers.f_bavail * numbers.f_frsize < 1 << 20:
            raise disk_full(cache) from error
        raise


def as_restored(spec: GuestSpec, wiring: Wiring, snapshot: SnapshotFiles) -> tuple[GuestSpec, Wiring]:
    """Return guest and wiring with the snapshot's files in place of those that the guest boots from."""
    return replace(spec, kernel=snapshot.head or spec.kernel), replace(wiring, ram=snapshot.ram)


@asynccontextmanager
async def restored(
    spec: GuestSpec,
    wiring: Wiring,
    qemu: Qemu,
    out: Path,
    listeners: Listeners,
    snapshot: Snapshot,
    *,
    scale: float = 1.0,
) -> AsyncIterator[Session]:
    """Start a guest as the snapshot has it, its CPUs stopped, and yield it.

    scale: multiplies the deadlines, for slow machines.
    Raises RigError when QEMU does not start or does not take the snapshot.
    """
    spec, wiring = as_restored(spec, wiring, snapshot)
    with snapshot.state.open("rb") as state:
        async with started(
            spec, wiring, qemu, out, listeners, records_before=snapshot.ready_line, state=state.fileno(), scale=scale
        ) as session:
            await session.monitor.migrate("in", state.fileno(), to_file=has(qemu, MIGRATE_TO_FILE))
            yield session
