# SPDX-License-Identifier: MIT
"""Branch points: a guest that was saved in the middle of its plan, from which several futures are restored.

The agent stops the machine at the point (guest/agent/branch.c) by writing to the port of pvpanic. QEMU is started with
`-action panic=pause`, so it pauses the guest at that instruction. The guest's memory is a shared memfd meanwhile,
copied from the snapshot that it was restored from: x-ignore-shared leaves only shared memory out of the stream.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rig.disk import disk_full
from rig.errors import GuestError
from rig.finishing import end, finish_in_thread, within
from rig.image.continuation import Continuation, Stop, write_continuation
from rig.image.digest import digest_file, digest_text
from rig.image.entry import Entry
from rig.image.sparse import PAGES, copy_pages, copy_sparse, fill_sparse
from rig.image.store import Store
from rig.machine.icount import counted_from_zero, without_jump
from rig.machine.qemu import Qemu
from rig.machine.restoring import restored
from rig.machine.saving import guest_memory, quit_saved, save_state
from rig.machine.session import Listeners, Session, runtime_directory
from rig.machine.snapshot import Snapshot
from rig.machine.spec import GuestSpec, Wiring

__all__ = [
    "BranchPoint",
    "copy_image",
    "find_branch_point",
    "imported_branch_point",
    "key_of_point",
    "save_branch_point",
    "size_on_disk",
]

KIND = "branch"
FORMAT = 3
"""The version of a branch point's files. Increase it when they, or the way they are made, change."""
STATE, HEAD, PAYLOAD = "state", "kernel.head", "payload"
RAM = "ram" + PAGES
BOOT_LOG, CONSOLE, EVENTS = "boot.log", "console.log", "events.jsonl"
LAST_RECORD = 10.0
"""Host seconds for the agent's last record, which is in the pipe when QEMU stops the guest."""


@dataclass(frozen=True)
class BranchPoint(Snapshot):
    """A guest that was saved at a point of its plan.

    payload: the image that its programs execute from. Every future is started with it.
    console, events: files with what the guest printed and reported until then.
    step: index of the first step of the plan that was not completed.
    time: of the guest's clock, seconds.
    note: what was noted when it was saved.
    """

    payload: Path = Path()
    console: Path = Path()
    events: Path = Path()
    step: int = 0
    time: float = 0.0
    note: dict[str, Any] = field(default_factory=dict)

    @property
    def had_oom(self) -> bool:
        """Whether the agent reported an OOM before the point."""
        return b'"ev":"oom"' in self.records_before

    @property
    def console_before(self) -> bytes:
        return self.console.read_bytes()

    @property
    def records_before(self) -> bytes:
        return self.events.read_bytes()


def key_of_point(start: Snapshot, payload: str, layers: tuple[str, ...], content: Stop | Continuation) -> str:
    """Return the key of a branch point: a hash of all that led to it.

    start: what the guest is restored from.
    payload, layers: SHA-256 of the images.
    content: the point, and the steps that led to it from an earlier branch point.
    """
    identity = {
        "format": FORMAT,
        "start": [start.key, start.digest],
        "payload": payload,
        "layers": layers,
        "content": [type(content).__name__, dataclasses.asdict(content)],
    }
    return digest_text(json.dumps(identity, sort_keys=True))


def find_branch_point(store: Store, key: str) -> BranchPoint | None:
    """Return the branch point with this key, or None. A damaged one is removed and logged."""
    entry = store.get_verified(KIND, key)
    if entry is None:
        return None
    entry.touch()
    return _from_entry(entry)


def imported_branch_point(store: Store, key: str) -> BranchPoint | None:
    """Return the branch point that came with an imported run, or None. Only a replay of that run may restore it."""
    entry = store.get_verified("imported", key)
    if entry is None or not {STATE, RAM, PAYLOAD, BOOT_LOG, CONSOLE, EVENTS} <= entry.files.keys():
        return None
    entry.touch()
    try:
        return _from_entry(entry)
    except (KeyError, TypeError, ValueError):
        # The description comes from another host and may be malformed.
        return None


def _from_entry(entry: Entry) -> BranchPoint:
    about = entry.about
    return BranchPoint(
        key=entry.key,
        identity=None,
        ram=entry.file(RAM),
        head=entry.file(HEAD) if HEAD in entry.files else None,
        state=entry.file(STATE),
        digest=entry.files[RAM],
        boot_log=entry.file(BOOT_LOG),
        ready={},
        ready_line=b"",
        payload=entry.file(PAYLOAD),
        console=entry.file(CONSOLE),
        events=entry.file(EVENTS),
        step=int(about["step"]),
        time=float(about["time"]),
        note=note if isinstance(note := about.get("note"), dict) else {},
    )


async def save_branch_point(
    store: Store,
    spec: GuestSpec,
    qemu: Qemu,
    start: Snapshot,
    payload: Path,
    content: Stop | Continuation,
    key: str,
    *,
    deadline: float,
    scale: float = 1.0,
    listeners: Listeners | None = None,
    note: dict[str, Any] | None = None,
) -> BranchPoint:
    """Run a guest up to the point, save it there, and return the branch point.

    start: what the guest is restored from; its memory must be a file.
    content: where to stop; a Continuation if `start` is itself a branch point.
    deadline: host seconds until the point.
    note: what the caller wants to know of the point later: BranchPoint.note.
    Raises GuestError when the guest ends or panics before the point, RigError when it cannot be saved.
    """
    assert start.ram is not None
    with store.staging_directory() as work, runtime_directory(key) as directory, guest_memory(spec) as memory:
        assert memory is not None
        result = work / "result"
        result.mkdir()
        with store.writing():
            await finish_in_thread(fill_sparse, start.ram, memory)
            write_continuation(work / "continuation", content)
            copy_image(payload, result / PAYLOAD)
        wiring = Wiring(
            name=key[:12],
            directory=directory,
            payload=result / PAYLOAD,
            incoming=True,
            continuation=work / "continuation",
        )
        heard = listeners or Listeners()
        with (result / STATE).open("wb") as state:
            async with restored(spec, wiring, qemu, work, heard, start, memory=memory, scale=scale) as session:
                stop = await _stopped(session, deadline, scale)
                await save_state(session, state.fileno(), qemu, store.root)
                await _quit(session, store)
        stream = counted_from_zero(without_jump((result / STATE).read_bytes()))
        with store.writing():
            (result / STATE).write_bytes(stream)
            digest = await finish_in_thread(copy_pages, memory, result / RAM)
            _copy_logs(work, start, result)
        about = {
            "what": f"at {stop['t']:.1f} s of the guest's clock",
            "step": stop["step"],
            "time": stop["t"],
            "note": note or {},
        }
        known = {RAM: digest, **{name: digest_file(result / name) for name in (PAYLOAD, STATE)}}
        return _from_entry(await finish_in_thread(store.add, KIND, key, result, about, known))


def _copy_logs(work: Path, start: Snapshot, result: Path) -> None:
    """Copy console, records, boot log and, if there is one, the kernel's head into the branch point's directory."""
    for name in (CONSOLE, EVENTS):
        shutil.copyfile(work / name, result / name)
    shutil.copyfile(start.boot_log, result / BOOT_LOG)
    if start.head is not None:
        shutil.copyfile(start.head, result / HEAD)


def copy_image(source: Path, target: Path) -> None:
    """Copy an image that QEMU, which may run as another user, is to read."""
    with source.open("rb") as file:
        copy_sparse(file.fileno(), target)
    target.chmod(0o644)


async def _quit(session: Session, store: Store) -> None:
    """End a saved guest's QEMU, and read what is still in the pipes.

    Raises RigError when console or records could not be written.
    """
    await quit_saved(session)
    await session.drain()
    if (failed := session.console.failed or session.channel.failed) is not None:
        raise disk_full(store.root) from failed


async def _stopped(session: Session, deadline: float, scale: float) -> dict[str, Any]:
    """Start the guest, wait until its agent stops it, and return the agent's record `stop`.

    deadline: host seconds until the record. scale: multiplies the other deadlines.
    """
    # Both before the guest runs: a record that comes before somebody waits for it is not seen again. The agent reports
    # it before it writes to the port (branch_here(), guest/agent/branch.c), but it comes through a pipe and the event
    # through QMP, so that either may arrive first.
    said = asyncio.ensure_future(session.record("stop", deadline))
    held = asyncio.ensure_future(session.monitor.next_event("GUEST_PANICKED"))
    try:
        await session.monitor.execute("cont")
        waiting: set[asyncio.Future[Any]] = {said, held}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not said.done():
            await asyncio.wait({said}, timeout=LAST_RECORD * scale)
            if not said.done():
                raise session.failure("the guest panicked before the branch point")
        record = said.result()
        await within(LAST_RECORD * scale, held)
        return record
    except GuestError as error:
        raise GuestError(
            f"the run does not come to the branch point: {error.what}", where=error.where, detail=error.detail
        ) from error
    except TimeoutError:
        raise session.failure("QEMU did not stop the guest at the branch point") from None
    finally:
        await end(said, held)


def size_on_disk(point: BranchPoint) -> int:
    """Return the bytes that a branch point takes on the disk."""
    return sum(path.stat().st_blocks * 512 for path in point.state.parent.iterdir())
