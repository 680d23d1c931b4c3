# SPDX-License-Identifier: MIT
"""Boot a guest and save it as a snapshot, as soon as its agent reports ready."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.finishing import finish_in_thread
from rig.image.continuation import write_continuation
from rig.image.daximage import write_blank
from rig.image.payload import blank_payload
from rig.image.sparse import copy_sparse
from rig.image.store import Store
from rig.machine.disk import disk_file
from rig.machine.icount import counted_from_zero
from rig.machine.identity import identity_of, key_of
from rig.machine.qemu import Qemu
from rig.machine.saving import guest_memory, quit_saved, save_state
from rig.machine.session import Listeners, Session, runtime_directory, started, swap_file
from rig.machine.snapshot import BOOT_LOG, HEAD, RAM, READY, STATE, Snapshot, kernel_head, read_snapshot
from rig.machine.spec import Clock, GuestSpec, RamFile, Wiring

__all__ = ["Patience", "make_snapshot"]

LOOK_EVERY = 0.25
"""Host seconds between two looks at the size of the console's log."""


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
        result = work / "result"
        result.mkdir()
        wiring = replace(
            _blank_wiring(spec, key[:12], directory, work),
            ram=None if memory is None else RamFile(Path(f"/proc/self/fd/{memory}"), kept=True),
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
                await quit_saved(session)
                await session.drain()
        if memory is not None:
            # Otherwise the guest's memory is in the stream, and any of its bytes might look like the counter's section.
            (result / STATE).write_bytes(counted_from_zero((result / STATE).read_bytes()))
            await finish_in_thread(copy_sparse, memory, result / RAM)
        if head := kernel_head(spec.kernel):
            (result / HEAD).write_bytes(head)
        shutil.copyfile(work / "console.log", result / BOOT_LOG)
        # The names of the sysctls are the kernel's and not a run's: they stay beside the snapshot.
        names, complete = ready.pop("sysctls", []), ready.pop("sysctls_complete", False)
        sysctls = names if complete else []
        (result / READY).write_text(json.dumps(ready) + "\n")
        about = {
            "kernel": ready.get("kernel"), "identity": identity, "queue_entries": entries, "sysctls": sysctls,
        }  # fmt: skip
        return read_snapshot(store.add("snapshot", key, result, about))


async def _ready(session: Session, deadline: float | Patience) -> dict[str, Any]:
    """Wait for the agent's record `ready` and return it. Raises GuestError when the deadline is over."""
    if isinstance(deadline, float | int):
        return await session.record("ready", deadline)
    began = grew = time.monotonic()
    size = 0
    # Later than the two limits below, because diagnose() of prove.py needs their errors, which say whether the console
    # was silent.
    record = asyncio.ensure_future(session.record("ready", deadline.total + 60))
    try:
        while True:
            await asyncio.wait({record}, timeout=LOOK_EVERY)
            if record.done():
                return record.result()
            now, last, size = time.monotonic(), size, session.bytes_seen
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


def _blank_wiring(spec: GuestSpec, name: str, directory: Path, work: Path) -> Wiring:
    """Return the wiring of a guest that has no run yet, and make its files, which are blank, in `work`.

    The guest sees the same devices, of the same sizes, as a run will have: a snapshot is restored only with these.
    """
    blank_payload(work / "payload")
    if spec.continuation_size:
        write_continuation(work / "continuation")
    return Wiring(
        name=name,
        directory=directory,
        payload=work / "payload",
        swap=swap_file(spec, work),
        disk=disk_file(spec, work, blank=True),
        shell=spec.clock is Clock.LIVE,
        blank_layers=_blank_layers(spec, work / "layers"),
        continuation=work / "continuation",
    )


def _blank_layers(spec: GuestSpec, directory: Path) -> Path | None:
    if not spec.layers:
        return None
    directory.mkdir()
    for size in {layer.size for layer in spec.layers}:
        write_blank(directory / str(size), size)
    return directory
