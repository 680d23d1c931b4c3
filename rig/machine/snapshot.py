# SPDX-License-Identifier: MIT
"""A guest that is ready and waits for its payload, saved once and restored for every run.

A snapshot's name is the hash of all that shaped it: kernel, root filesystem, QEMU, command line, clock.

The guest's memory is a file of its own beside the state of its devices. While the snapshot is made QEMU shares that
file, so the capability x-ignore-shared leaves it out of the migration stream; a restored guest maps it privately: a
page is the page cache's, and all guests', until the guest writes to it, and no memory is read before it is used.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.image.daximage import write_blank
from rig.image.digest import digest_text
from rig.image.hosttools import disk_full
from rig.image.payload import blank_payload
from rig.image.sparse import SUFFIX, copy_sparse
from rig.image.store import Entry, Store
from rig.machine.command import memory_is_a_file, spec_key_text
from rig.machine.qemu import Qemu
from rig.machine.session import Listeners, Session, runtime_folder, started, swap_file
from rig.machine.spec import Clock, GuestSpec, Wiring

__all__ = ["Snapshot", "find_snapshot", "make_snapshot", "restored", "snapshot_key"]

STATE = "state"
RAM = "ram" + SUFFIX
HEAD = "kernel.head"
BOOT_LOG = "boot.log"
READY = "ready.jsonl"


@dataclass(frozen=True)
class Snapshot:
    """key: its name; state: the migration stream; ram: the guest's memory, None where it is in the stream; head: the
    kernel's first sectors, None where it has no such; digest: the memory's, or the stream's; ready: what the agent
    said, and said: the line itself; boot_log: the console until then.
    """

    key: str
    state: Path
    ram: Path | None
    head: Path | None
    digest: str
    boot_log: Path
    ready: dict[str, Any]
    said: bytes


def snapshot_key(spec: GuestSpec, qemu: Qemu) -> str:
    """Return the name of the snapshot of that guest under that QEMU."""
    return digest_text(spec_key_text(spec, qemu))


def find_snapshot(store: Store, spec: GuestSpec, qemu: Qemu) -> Snapshot | None:
    """Return the snapshot, checked by hash, or None. A damaged one is thrown away and logged."""
    entry = store.whole("snapshot", snapshot_key(spec, qemu))
    if entry is None:
        return None
    entry.touch()
    return _from_entry(entry)


def _from_entry(entry: Entry) -> Snapshot:
    said = entry.file(READY).read_bytes()
    ram = entry.file(RAM) if RAM in entry.files else None
    digest = entry.files[RAM if ram else STATE]
    head = entry.file(HEAD) if HEAD in entry.files else None
    return Snapshot(entry.key, entry.file(STATE), ram, head, digest, entry.file(BOOT_LOG), json.loads(said), said)


async def make_snapshot(
    store: Store, spec: GuestSpec, qemu: Qemu, *, deadline: float, listeners: Listeners | None = None
) -> Snapshot:
    """Boot the guest over a blank payload, stop it as soon as the agent is ready, and save it.

    deadline: host seconds for the boot. Raises GuestError when it does not get there.
    """
    key = snapshot_key(spec, qemu)
    with store.workplace() as work, runtime_folder(key) as folder, _memory(spec) as memory:
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
            async with started(spec, wiring, qemu, work, heard, state=state.fileno(), memory=memory) as session:
                await session.monitor.execute("cont")
                ready = await session.record("ready", deadline)
                # In warp a guest that waits lets its clock run on.
                await session.monitor.execute("stop")
                await _save(session, state.fileno(), store.root)
                await session.monitor.execute("quit")
                await session.process.wait()
                session.console.drain(5)
        if memory is not None:
            await asyncio.to_thread(copy_sparse, memory, result / RAM)
        _keep_head(spec.kernel, result / HEAD)
        shutil.copyfile(work / "console.log", result / BOOT_LOG)
        (result / READY).write_bytes((work / "events.jsonl").read_bytes().split(b"\n")[0] + b"\n")
        about = {"clock": spec.clock, "memory": spec.memory, "cpus": spec.cpus, "kernel": ready.get("kernel")}
        return _from_entry(store.add("snapshot", key, result, about))


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


def _keep_head(kernel: Path, target: Path) -> None:
    """Keep of a bzImage what QEMU wants to see: its real-mode part, and a piece of what follows.

    A guest that runs has its kernel in memory and never reads it again; QEMU would hold a copy of all of it, 14 MB a
    guest. The header is that of Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, the magic at 0x202.
    """
    with kernel.open("rb") as file:
        start = file.read(0x206)
        if len(start) < 0x206 or start[0x202:] != b"HdrS":
            return
        file.seek(0)
        target.write_bytes(file.read(((start[0x1F1] or 4) + 2) * 512))


async def _save(session: Session, descriptor: int, cache: Path) -> None:
    try:
        await session.monitor.migrate("out", descriptor)
    except RigError as error:
        numbers = os.fstatvfs(descriptor)
        if "No space left" in str(error) or numbers.f_bavail * numbers.f_frsize < 1 << 20:
            raise disk_full(cache) from error
        raise


@asynccontextmanager
async def restored(
    spec: GuestSpec, wiring: Wiring, qemu: Qemu, out: Path, listeners: Listeners, snapshot: Snapshot
) -> AsyncIterator[Session]:
    """Start a guest as the snapshot has it, its processors stopped, and yield it.

    Raises RigError when QEMU does not start or does not take the snapshot.
    """
    spec = replace(spec, kernel=snapshot.head or spec.kernel)
    wiring = replace(wiring, ram=snapshot.ram)
    with snapshot.state.open("rb") as state:
        async with started(
            spec, wiring, qemu, out, listeners, said_before=snapshot.said, state=state.fileno()
        ) as session:
            await session.monitor.migrate("in", state.fileno())
            yield session
