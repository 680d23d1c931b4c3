# SPDX-License-Identifier: MIT
"""Execute one plan in one guest: restore the guest from its snapshot, run the plan, and collect its output."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rig.disk import cannot_write
from rig.errors import RigError
from rig.experiment.booted import ensure_snapshot
from rig.experiment.departure import Departure
from rig.experiment.execution import Deadlines, Execution
from rig.experiment.prepare import PreparedGuest
from rig.experiment.stops import PANIC_DUMP, room_for_a_dump, watch_recording, watch_silence, watch_stops
from rig.finishing import finish_in_thread, within
from rig.image.continuation import write_continuation
from rig.image.digest import digest_file, digest_once
from rig.image.payload import Payload, cached_payload, keep_payload, write_payload
from rig.image.prefetch import note_run
from rig.image.store import Store
from rig.machine.branch_point import copy_image
from rig.machine.disk import disk_file
from rig.machine.recording import WRITE_ERROR
from rig.machine.restoring import restored
from rig.machine.session import Listeners, Session, runtime_directory, swap_file
from rig.machine.snapshot import Snapshot
from rig.machine.spec import Wiring
from rig.run.progress import Progress, show_record
from rig.run.recording_files import CONTINUATION, PAYLOAD

__all__ = ["execute", "place_payload"]

logger = logging.getLogger(__name__)
BOOT_LOG = "boot.log"


async def execute(
    guest: PreparedGuest,
    payload: Payload,
    out: Path,
    *,
    name: str,
    deadlines: Deadlines,
    progress: Progress,
    dump_panics: bool = False,
    reuse: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
    departure: Departure | None = None,
    admit: Callable[[Snapshot], None] = lambda snapshot: None,
) -> Execution:
    """Run a plan in a guest and write console.log, events.jsonl and boot.log into `out`.

    name: id of the run, for sockets and temporary files.
    reuse: whether the payload's image is kept in the cache.
    departure: where the guest begins, if not at its snapshot; its branch point has a payload of its own.
    meanwhile: called in a thread while the guest runs, when rig would otherwise be idle.
    admit: called with the snapshot before it is restored; raises UsageError for a plan that its kernel cannot run.
    A guest that fails after its plan began raises nothing: its output is kept, and `problem` gives the reason.
    Raises RigError when the guest fails before that, or when `out` cannot be written.
    """
    execution = Execution()
    snapshot = await _starting_point(guest, deadlines, execution, progress, departure, admit)
    shutil.copyfile(snapshot.boot_log, out / BOOT_LOG)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(runtime_directory(name))
        dump = stack.enter_context(room_for_a_dump(out / PANIC_DUMP)) if dump_panics else None
        wiring = _wiring_of(guest, name, directory, out, dump, departure)
        execution.recorded = wiring.recorder is not None
        key = None
        if guest.live:
            from rig.machine.ssh import new_key

            key, texts = new_key()
            write_payload(Payload(texts=texts), wiring.payload)
        elif departure is None and reuse:
            execution.payload_hash = await finish_in_thread(place_payload, guest.store, payload, wiring.payload)
        elif departure is None:
            write_payload(payload, wiring.payload)
        listeners = Listeners(
            on_line=lambda line: progress.console(line.decode(errors="replace")),
            on_record=lambda record: _tell(record, progress),
        )
        with execution.phase("restore", progress):
            context = restored(guest.spec, wiring, guest.qemu, out, listeners, snapshot, scale=deadlines.scale)
            session = await stack.enter_async_context(context)
            execution.command = session.command
        with execution.phase("plan", progress):
            beside = partial(_while_it_runs, guest.store, wiring, out, execution.payload_hash, meanwhile, departure)
            push = None if key is None else partial(_push, session, payload, key, deadlines)
            await _run_plan(session, deadlines, execution, beside, push)
        # QEMU first: a pipe is at its end when its last writer has closed it.
        await session.process.stop()
        await session.drain()
        execution.left_out = session.left_out
        _refuse_what_is_not_written(session, out)
    if not (out / "qemu.log").read_bytes():
        (out / "qemu.log").unlink()
    return execution


async def _starting_point(
    guest: PreparedGuest,
    deadlines: Deadlines,
    execution: Execution,
    progress: Progress,
    departure: Departure | None,
    admit: Callable[[Snapshot], None],
) -> Snapshot:
    """Return what the guest is restored from: its snapshot, or the branch point of its departure."""
    snapshot: Snapshot
    if departure is None:
        snapshot = await ensure_snapshot(guest, deadlines, execution, progress)
        admit(snapshot)
        execution.snapshot = snapshot.key
    else:
        snapshot = departure.point
        execution.snapshot = departure.snapshot
    execution.snapshot_digest, execution.notes = snapshot.digest, snapshot.notes
    for note in snapshot.notes:
        progress.line(note)
    return snapshot


def _wiring_of(
    guest: PreparedGuest, name: str, directory: Path, out: Path, dump: int | None, departure: Departure | None
) -> Wiring:
    """Return the guest's wiring, and make the files that it names, except the payload."""
    wiring = guest.wiring(name, directory, out, dump=dump)
    if departure is not None:
        # Preallocation would copy all pages of the branch point, which its futures share until they write to them.
        wiring = replace(wiring, payload=departure.point.payload, prealloc=False)
    if guest.spec.continuation_size:
        write_continuation(directory / "continuation", None if departure is None else departure.continuation)
    swap_file(guest.spec, directory)
    disk_file(guest.spec, directory)
    if wiring.recorder is not None:
        wiring.recorder.file.parent.mkdir()
    return wiring


async def _run_plan(
    session: Session,
    deadlines: Deadlines,
    execution: Execution,
    beside: Callable[[], tuple[str, str]],
    push: Callable[[], Awaitable[None]] | None,
) -> None:
    """Run the restored guest to its end, and set execution.problem if it ended early.

    beside: called in a thread meanwhile; returns the hashes of payload and continuation.
    push: copies the plan into a live guest, once that runs.
    """
    # Before `cont`: a guest may be through its plan before anything else here is executed.
    ended = asyncio.ensure_future(session.record("end", deadlines.plan))
    futures: list[asyncio.Future[Any]] = [ended]
    aside: list[asyncio.Future[tuple[str, str]]] = []
    try:
        await session.monitor.execute("cont")
        aside.append(asyncio.ensure_future(asyncio.to_thread(beside)))
        if push is not None:
            await push()
        futures += [asyncio.ensure_future(watch(session, execution)) for watch in (watch_stops, watch_recording)]
        futures.append(asyncio.ensure_future(watch_silence(session, execution, ended, deadlines.silence)))
        problem = await _to_the_end(session, ended, deadlines)
    finally:
        # After an interrupt nobody awaits these futures; unless cancelled, asyncio prints their exceptions at exit.
        for future in futures:
            future.cancel()
        # It reads and writes what the caller may be about to remove.
        await asyncio.gather(*aside, return_exceptions=True)
    execution.problem = execution.stopped or problem
    execution.payload_hash, execution.continuation_hash = aside[0].result()


def _refuse_what_is_not_written(session: Session, out: Path) -> None:
    """Raise RigError if console, records or recording could not be written completely (a full disk)."""
    failed = session.console.failed or session.channel.failed
    words = session.process.words()
    if failed is None and WRITE_ERROR not in words:
        return
    # QEMU says that it could not write, and not why: a full disk is the usual reason.
    found = cannot_write("the run's directory", out.parent, failed or OSError(errno.ENOSPC, "No space left on device"))
    raise RigError(found.what, where=found.where, remedy=found.remedy, detail=words.strip() or None)


def place_payload(store: Store, payload: Payload, path: Path) -> str:
    """Write a payload's image, from the cache if that can be, and return its hash if that is known.

    A cache that is full or read-only is enough for a run that needs nothing new of it.
    """
    try:
        image, digest = cached_payload(store, payload)
    except RigError as error:
        logger.debug("the payload is not kept: %s", error.what)
        write_payload(payload, path)
        return ""
    copy_image(image, path)
    return digest


def _while_it_runs(
    store: Store, wiring: Wiring, out: Path, payload: str, meanwhile: Callable[[], None], departure: Departure | None
) -> tuple[str, str]:
    """Keep for a replay what it needs, call `meanwhile`, and return the hashes of payload and continuation.

    payload: the hash of the payload's image; empty where it is not known.
    """
    if wiring.recorder is not None:
        if departure is not None:
            # After a power cut the recording, which is synced, would be lost without its branch point.
            store.sync(departure.point.state.parent)
        keep_payload(wiring.payload, out / PAYLOAD)
        if wiring.continuation is not None and wiring.continuation.exists():
            keep_payload(wiring.continuation, out / CONTINUATION)
    payload = payload or digest_once(wiring.payload)
    has_continuation = wiring.continuation is not None and wiring.continuation.exists()
    note_run(store)
    continuation = digest_file(wiring.continuation) if wiring.continuation and has_continuation else ""
    meanwhile()
    return payload, continuation


def _tell(record: dict[str, Any], progress: Progress) -> None:
    if isinstance(record.get("t"), int | float):
        show_record(record, progress)


async def _push(session: Session, payload: Payload, key: Any, deadlines: Deadlines) -> None:
    """Copy programs and plan into a live guest over SSH, and create the file on which the agent starts the plan."""
    from rig.machine.ssh import forwarded_port, push_plan

    port = forwarded_port(await session.monitor.human("info usernet"))
    ssh_record = await session.record("ssh", deadlines.boot)
    await asyncio.to_thread(
        push_plan, port, key, str(ssh_record.get("host_key", "")), deadlines.boot,
        plan=payload.plan or "", files=payload.files, texts=payload.texts, links=payload.links,
        modes=payload.modes, directories=payload.directories,
    )  # fmt: skip


async def _to_the_end(session: Session, ended: asyncio.Future[Any], deadlines: Deadlines) -> RigError | None:
    """Wait for the agent's `end` record and for QEMU's exit; return the error, or None.

    A missing `end` record is an error here, also after a panic: whether a panic explains it is judged from the console.
    """
    try:
        await ended
    except RigError as error:
        return error
    seen = session.bytes_seen
    while True:
        with contextlib.suppress(TimeoutError):
            await within(deadlines.exit, session.process.wait())
            return None
        # A guest that printed more since is still shutting down, so wait once more.
        if seen == session.bytes_seen:
            break
        seen = session.bytes_seen
    return RigError(f"the guest did not power off within {deadlines.exit:g} s of its plan's end", where="guest")
