# SPDX-License-Identifier: MIT
"""Execute one plan in one guest: restore the guest from its snapshot, run the plan, and collect its output."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rig.disk import cannot_write
from rig.errors import RigError
from rig.experiment.cache_use import keep_bound
from rig.experiment.departure import Departure
from rig.experiment.prepare import CONTINUATION, PreparedGuest
from rig.image.continuation import write_continuation
from rig.image.digest import digest_file, digest_once
from rig.image.payload import Payload, cached_payload, keep_payload, write_payload
from rig.image.prefetch import note_run
from rig.image.store import Store
from rig.machine.boot import make_snapshot
from rig.machine.branch_point import copy_image
from rig.machine.command import DUMP_SET
from rig.machine.disk import disk_file
from rig.machine.identity import Identity, identity_of, key_of
from rig.machine.memory import pack_dump
from rig.machine.qmp import DUMP_DEADLINE
from rig.machine.recording import WRITE_ERROR
from rig.machine.restoring import restored
from rig.machine.session import DRAIN_DEADLINE, Listeners, Session, runtime_directory, swap_file
from rig.machine.snapshot import Snapshot, find_snapshot, nearest_snapshots
from rig.machine.spec import Wiring
from rig.run.progress import Progress, show_record

__all__ = ["Deadlines", "Execution", "ensure_snapshot", "execute", "place_payload"]

logger = logging.getLogger(__name__)
BOOT_LOG = "boot.log"
PANIC_DUMP = "panic.elf"
BROKEN = ("internal-error", "io-error", "watchdog")
"""States in which QEMU stops a guest for good (RunState, qapi/run-state.json)."""


@dataclass(frozen=True)
class Deadlines:
    """Time limits, in host seconds.

    boot: from the start of QEMU to the agent's first record.
    plan: from `go` to the agent's `end` record.
    exit: from the `end` record to the exit of QEMU.
    scale: factor for the time limits of QMP and migration, which are fixed elsewhere.
    """

    boot: float
    plan: float
    exit: float = 10.0
    scale: float = 1.0

    def scaled(self, scale: float) -> Deadlines:
        """Return the time limits for a host that is slower by the factor `scale`."""
        return Deadlines(self.boot * scale, self.plan * scale, self.exit * scale, self.scale * scale)


@dataclass
class Execution:
    """What the host observed of a run.

    phases: name -> host seconds.
    left_out: file name -> bytes of output that exceeded its limit and were not kept.
    problem: why the run ended early; None if the plan ran to its end and QEMU exited.
    """

    command: list[str] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    snapshot: str = ""
    snapshot_digest: str = ""
    payload_hash: str = ""
    continuation_hash: str = ""
    recorded: bool = False
    panicked: bool = False
    panic_dump: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: RigError | None = None
    stopped: RigError | None = None
    """Why QEMU stopped the guest's CPUs by itself (see BROKEN); None if it did not."""

    @contextmanager
    def phase(self, name: str, progress: Progress) -> Iterator[None]:
        """Report the start of a phase, and record its duration."""
        progress.phase(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - began


async def ensure_snapshot(
    guest: PreparedGuest, deadlines: Deadlines, execution: Execution, progress: Progress
) -> Snapshot:
    """Return the guest's snapshot; boot the guest and create it if the cache has none.

    A lock in the cache keeps two processes from creating it twice.
    """
    store, identity = guest.store, identity_of(guest.spec, guest.qemu)
    key = key_of(identity)
    found = find_snapshot(store, key)
    if found is None:
        async with store.lock_async(f"snapshot-{key[:16]}"):
            found = find_snapshot(store, key)
            if found is None:
                with execution.phase("boot", progress):
                    if (why := _upgraded(store, identity)) is not None:
                        progress.line(f"the snapshot is made anew: {why}")
                    listeners = Listeners(on_line=lambda line: progress.console(line.decode(errors="replace")))
                    found = await make_snapshot(
                        store,
                        guest.spec,
                        guest.qemu,
                        deadline=deadlines.boot,
                        scale=deadlines.scale,
                        listeners=listeners,
                    )
        await asyncio.to_thread(keep_bound, store)
    return found


def _upgraded(store: Store, identity: Identity) -> str | None:
    """Return the difference to the nearest snapshot if it is QEMU alone, else None.

    A snapshot is restored only by the QEMU that made it.
    """
    for _, lines in nearest_snapshots(store, identity)[:1]:
        if len(lines) == 1 and lines[0].startswith("qemu:"):
            return lines[0]
    return None


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
    shutil.copyfile(snapshot.boot_log, out / BOOT_LOG)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(runtime_directory(name))
        dump = stack.enter_context(_room_for_a_dump(out / PANIC_DUMP)) if dump_panics else None
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
        key = None
        if guest.live:
            from rig.machine.ssh import new_key

            key, texts = new_key()
            write_payload(Payload(texts=texts), wiring.payload)
        elif departure is None and reuse:
            execution.payload_hash = await asyncio.to_thread(place_payload, guest.store, payload, wiring.payload)
        elif departure is None:
            write_payload(payload, wiring.payload)
        execution.recorded = wiring.recorder is not None
        listeners = Listeners(
            on_line=lambda line: progress.console(line.decode(errors="replace")),
            on_record=lambda record: _tell(record, progress),
        )
        with execution.phase("restore", progress):
            context = restored(guest.spec, wiring, guest.qemu, out, listeners, snapshot, scale=deadlines.scale)
            session = await stack.enter_async_context(context)
            execution.command = session.command
        with execution.phase("plan", progress):
            ended = asyncio.ensure_future(session.record("end", deadlines.plan))
            # After an interrupt nobody awaits this future; unless cancelled, asyncio prints its exception at exit.
            stack.callback(ended.cancel)
            await session.monitor.execute("cont")
            aside = asyncio.ensure_future(
                asyncio.to_thread(_while_it_runs, guest.store, wiring, out, execution.payload_hash, meanwhile)
            )
            if key is not None:
                await _push(session, payload, key, deadlines)
            watch = asyncio.ensure_future(_watch_stops(session, execution))
            stack.callback(watch.cancel)
            execution.problem = await _to_the_end(session, ended, deadlines)
            watch.cancel()
            execution.problem = execution.stopped or execution.problem
            execution.payload_hash, execution.continuation_hash = await aside
        await session.process.stop()
        await session.channel.drain(DRAIN_DEADLINE)
        await asyncio.to_thread(session.console.drain, DRAIN_DEADLINE)
        execution.left_out = session.left_out
        _refuse_what_is_not_written(session, out)
    if not (out / "qemu.log").read_bytes():
        (out / "qemu.log").unlink()
    return execution


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
    store: Store, wiring: Wiring, out: Path, payload: str, meanwhile: Callable[[], None]
) -> tuple[str, str]:
    """Keep payload and continuation for a replay, call `meanwhile`, and return the hashes of the two.

    payload: the hash of the payload's image; empty where it is not known.
    """
    if wiring.recorder is not None:
        keep_payload(wiring.payload, wiring.recorder.file.with_name("payload.zst"))
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
    )  # fmt: skip


@contextmanager
def _room_for_a_dump(path: Path) -> Iterator[int]:
    """Yield the descriptor of a file for a dump; remove the file if it stays empty.

    QEMU is confined and may not open files itself, so it is passed the descriptor.
    """
    with path.open("wb") as file:
        yield file.fileno()
    if path.exists() and not path.stat().st_size:
        path.unlink()


async def _watch_stops(session: Session, execution: Execution) -> None:
    """Wait until QEMU stops the guest, after a panic or an error of QEMU, and record the reason."""
    # Most runs have neither; the monitor then closes, which raises RigError here.
    with contextlib.suppress(RigError):
        while True:
            event = await session.monitor.next_event("GUEST_PANICKED", "STOP")
            if event["event"] == "GUEST_PANICKED":
                await _hold_panic(session, execution)
                return
            state = await session.monitor.state()
            if state in BROKEN:
                execution.stopped = session.failure(f"QEMU stopped the guest: {state}")
                await session.monitor.execute("quit")
                return


async def _hold_panic(session: Session, execution: Execution) -> None:
    """Dump the memory of a guest that panicked, if a dump was requested, and quit QEMU.

    QEMU runs with -action panic=pause, so the guest is stopped but its memory is still there.
    """
    execution.panicked = True
    dump = session.console_log.with_name(PANIC_DUMP)
    try:
        if session.wiring.dump is None:
            return
        await session.monitor.execute(
            "dump-guest-memory", deadline=DUMP_DEADLINE, paging=False, protocol=f"file:/dev/fdset/{DUMP_SET}"
        )
        execution.panic_dump = (await asyncio.to_thread(pack_dump, dump)).name
    except RigError as error:
        logger.warning("the guest that panicked could not be dumped: %s", error)
        # An incomplete ELF core cannot be read.
        dump.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(RigError):
            await session.monitor.execute("quit")


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
            await asyncio.wait_for(session.process.wait(), deadlines.exit)
            return None
        # A guest that printed more since is still shutting down, so wait once more.
        if seen == session.bytes_seen:
            break
        seen = session.bytes_seen
    return RigError(f"the guest did not power off within {deadlines.exit:g} s of its plan's end", where="guest")
