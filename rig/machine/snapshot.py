# SPDX-License-Identifier: MIT
"""Snapshots: a booted guest that waits for its payload, saved once and restored for every run.

A snapshot's key is the hash of its identity (identity.py), which is stored with it.

The guest's memory and the state of its devices are two files. While a snapshot is made, QEMU maps the memory's file
shared, so the migration capability x-ignore-shared leaves it out of the stream. A restored guest maps the file
privately: all guests share its pages in the host's page cache until they write to them, and no page is read before it
is used.
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

from rig.disk import disk_full
from rig.errors import RigError
from rig.image.continuation import write_continuation
from rig.image.daximage import write_blank
from rig.image.entry import Entry
from rig.image.payload import blank_payload
from rig.image.sparse import SUFFIX, copy_sparse
from rig.image.store import Store
from rig.machine.command import memory_is_a_file
from rig.machine.disk import disk_file
from rig.machine.features import MIGRATE_TO_FILE, has
from rig.machine.identity import Identity, differences, identity_of, key_of
from rig.machine.qemu import Qemu
from rig.machine.session import DRAIN_DEADLINE, Listeners, Session, runtime_directory, started, swap_file
from rig.machine.spec import Clock, GuestSpec, RamFile, Wiring

__all__ = [
    "Patience",
    "Snapshot",
    "SnapshotFiles",
    "as_restored",
    "expected_snapshot",
    "find_snapshot",
    "guest_memory",
    "imported_snapshot",
    "kept_identity",
    "make_snapshot",
    "nearest_snapshots",
    "restored",
    "save_state",
]

STATE = "state"
RAM = "ram" + SUFFIX
HEAD = "kernel.head"
BOOT_LOG = "boot.log"
READY = "ready.jsonl"
QUIT_DEADLINE = 20.0
"""Host seconds within which QEMU must exit after `quit`."""
LOOK_EVERY = 0.25
QUEUE_ENTRIES, PORT_ENTRIES = 32, 128
"""Entries of virtio-serial's control queue and of a port's queue (hw/char/virtio-serial-bus.c).

Debian's QEMU 10.0.13 gives every virtqueue 1024 entries, whatever the device asks for.
"""
LARGEST_READY = 64 << 10


@dataclass(frozen=True)
class Patience:
    """How long to wait for a boot that may hang. All values are host seconds.

    silent: the longest time without a byte on the console.
    total: the longest time in all, even if the console still grows.
    """

    silent: float
    total: float

    def scaled(self, scale: float) -> Patience:
        """Return both limits multiplied by a factor, for a slow machine."""
        return Patience(self.silent * scale, self.total * scale)


@dataclass(frozen=True)
class SnapshotFiles:
    """The files of a snapshot that QEMU's command line names.

    ram: the guest's memory, or None if the migration stream holds it.
    head: the first sectors of a bzImage, or None for a kernel of another format.
    """

    key: str
    ram: Path | None
    head: Path | None


@dataclass(frozen=True)
class Snapshot(SnapshotFiles):
    """A guest that was saved when its agent reported ready.

    identity: None if an earlier version of rig made the snapshot.
    state: the migration stream.
    digest: of the memory's file, or of the stream if the stream holds the memory.
    boot_log: the console's output until then.
    ready: the agent's record `ready`.
    ready_line: the line of that record.
    queue_entries: entries of virtio-serial's control queue, or None if QEMU did not report them.
    sysctls: names of the kernel's sysctls; empty if they are not known.
    """

    identity: Identity | None
    state: Path
    digest: str
    boot_log: Path
    ready: dict[str, Any]
    ready_line: bytes
    queue_entries: int | None = None
    sysctls: frozenset[str] = frozenset()

    @property
    def console_before(self) -> bytes:
        """What the guest printed before it was saved and belongs to the run. A snapshot is taken before any run."""
        return b""

    @property
    def records_before(self) -> bytes:
        """What the agent reported before the guest was saved."""
        return self.ready_line

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what this QEMU does differently and what that costs of the guest's memory. Usually empty."""
        if self.queue_entries is None or self.queue_entries <= QUEUE_ENTRIES:
            return ()
        # The guest's drivers/char/virtio_console.c fills two queues with buffers of a page for each entry: the control
        # queue and the receive queue of the one open port.
        extra = 2 * self.queue_entries - QUEUE_ENTRIES - PORT_ENTRIES
        return (
            f"this QEMU gives virtio-serial queues of {self.queue_entries} entries in place of {QUEUE_ENTRIES} and"
            f" {PORT_ENTRIES}: their buffers take {extra >> 8} MB more of the guest's memory (Slab)",
        )


def find_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot with this key, verified by hash, or None. A damaged one is removed and logged."""
    entry = store.get_verified("snapshot", key)
    return None if entry is None else _from_entry(entry)


def kept_identity(entry: Entry) -> Identity | None:
    """Return the identity that is stored with a snapshot, or None if an earlier version of rig made it."""
    found = entry.about.get("identity")
    return found if isinstance(found, dict) else None


def nearest_snapshots(store: Store, identity: Identity) -> list[tuple[Entry, list[str]]]:
    """Return the cache's other snapshots with their differences from an identity, the fewest differences first."""
    found = [
        (entry, differences(kept, identity))
        for entry in store.entries("snapshot")
        if (kept := kept_identity(entry)) is not None and kept != identity
    ]
    return sorted(found, key=lambda pair: len(pair[1]))


def imported_snapshot(store: Store, key: str) -> Snapshot | None:
    """Return the snapshot that came with an imported run, or None. Only a replay of that run may restore it."""
    entry = store.get_verified("imported", key)
    if entry is None or not {STATE, BOOT_LOG, READY} <= entry.files.keys():
        return None
    try:
        return _from_entry(entry)
    except (ValueError, RecursionError):
        # The record comes from another host and may be malformed or nested too deeply for json.loads().
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
        sysctls=_texts(entry.about.get("sysctls")),
    )


def _texts(names: Any) -> frozenset[str]:
    return frozenset(name for name in names if isinstance(name, str)) if isinstance(names, list) else frozenset()


def expected_snapshot(store: Store, spec: GuestSpec, qemu: Qemu) -> SnapshotFiles:
    """Return the paths of the guest's snapshot. The snapshot need not exist yet."""
    key = key_of(identity_of(spec, qemu))
    directory = store.root / "snapshot" / key
    return SnapshotFiles(
        key=key,
        ram=directory / RAM if memory_is_a_file(spec) else None,
        head=directory / HEAD if _head(spec.kernel) else None,
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
    """Boot the guest with a blank payload, stop it as soon as its agent reports ready, and save it.

    deadline: host seconds for the boot, or a Patience.
    scale: multiplies all other deadlines.
    Raises GuestError when the agent does not become ready.
    """
    identity = identity_of(spec, qemu)
    key = key_of(identity)
    with store.staging_directory() as work, runtime_directory(key) as directory, guest_memory(spec) as memory:
        blank = work / "payload"
        blank_payload(blank)
        if spec.continuation_size:
            write_continuation(work / "continuation")
        result = work / "result"
        result.mkdir()
        wiring = Wiring(
            name=key[:12],
            directory=directory,
            payload=blank,
            swap=swap_file(spec, work),
            disk=disk_file(spec, work, blank=True),
            shell=spec.clock is Clock.LIVE,
            ram=None if memory is None else RamFile(Path(f"/proc/self/fd/{memory}"), kept=True),
            blank_layers=_blank_layers(spec, work / "layers"),
            continuation=work / "continuation",
        )
        with (result / STATE).open("wb") as state:
            listening = listeners or Listeners()
            async with started(
                spec, wiring, qemu, work, listening, state=state.fileno(), memory=memory, scale=scale
            ) as session:
                await session.monitor.execute("cont")
                ready = await _ready(session, deadline)
                # On the warp clock the time of an idle guest would run on while it is saved.
                await session.monitor.execute("stop")
                entries = await _queue_entries(session)
                await save_state(session, state.fileno(), qemu, store.root)
                await session.monitor.execute("quit")
                # If QEMU does not exit in time, started() kills it at the end of its block.
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(session.process.wait(), QUIT_DEADLINE * scale)
                session.console.drain(DRAIN_DEADLINE)
        if memory is not None:
            await asyncio.to_thread(copy_sparse, memory, result / RAM)
        if head := _head(spec.kernel):
            (result / HEAD).write_bytes(head)
        shutil.copyfile(work / "console.log", result / BOOT_LOG)
        # The names of the sysctls are the kernel's and not a run's: they stay beside the snapshot.
        names, complete = ready.pop("sysctls", []), ready.pop("sysctls_complete", False)
        sysctls = names if complete else []
        (result / READY).write_text(json.dumps(ready) + "\n")
        about = {
            "kernel": ready.get("kernel"), "identity": identity, "queue_entries": entries, "sysctls": sysctls,
        }  # fmt: skip
        return _from_entry(store.add("snapshot", key, result, about))


async def _ready(session: Session, deadline: float | Patience) -> dict[str, Any]:
    """Wait for the agent's record `ready` and return it. Raises GuestError when the deadline is over."""
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
    """Return the entries of virtio-serial's control queue (queue 2), or None if QEMU does not report them."""
    try:
        path = "/machine/peripheral/vs/virtio-backend"
        status = await session.monitor.execute("x-query-virtio-queue-status", path=path, queue=2)
        return int(status["vring-num-default"])
    except (RigError, KeyError, TypeError, ValueError):
        return None


def _blank_layers(spec: GuestSpec, directory: Path) -> Path | None:
    if not spec.layers:
        return None
    directory.mkdir()
    for size in {layer.size for layer in spec.layers}:
        write_blank(directory / str(size), size)
    return directory


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


def _head(kernel: Path) -> bytes:
    """Return the start of a bzImage, which is enough for QEMU to restore a guest: the setup code and one sector more.

    A restored guest has its kernel in memory already. With the full image QEMU would hold a copy of it, 14 MB a guest.
    The header is that of Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, the magic "HdrS" at 0x202.
    Empty for a kernel of another format.
    """
    with kernel.open("rb") as file:
        start = file.read(0x206)
        if len(start) < 0x206 or start[0x202:] != b"HdrS":
            return b""
        file.seek(0)
        return file.read(((start[0x1F1] or 4) + 2) * 512)


async def save_state(session: Session, descriptor: int, qemu: Qemu, cache: Path) -> None:
    """Write a stopped guest's devices to an open file. Raises RigError when QEMU fails or the disk is full."""
    try:
        await session.monitor.migrate("out", descriptor, to_file=has(qemu, MIGRATE_TO_FILE))
    except RigError as error:
        numbers = os.fstatvfs(descriptor)
        if "No space left" in str(error) or numbers.f_bavail * numbers.f_frsize < 1 << 20:
            raise disk_full(cache, detail=session.process.words().strip() or str(error)) from error
        raise


def as_restored(spec: GuestSpec, wiring: Wiring, snapshot: SnapshotFiles) -> tuple[GuestSpec, Wiring]:
    """Return spec and wiring with the snapshot's files in place of the files that the guest boots from."""
    ram = None if snapshot.ram is None else RamFile(snapshot.ram)
    return replace(spec, kernel=snapshot.head or spec.kernel), replace(wiring, ram=ram)


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
