# SPDX-License-Identifier: MIT
"""Replay a recorded run from its snapshot, and compare the console and the agent's records while they arrive."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.finishing import finish_in_thread, within
from rig.image.staging import staging_directory
from rig.machine.qemu import Qemu
from rig.machine.qmp import BROKEN
from rig.machine.restoring import restored
from rig.machine.session import Listeners, Session, runtime_directory
from rig.machine.spec import Debugger, Recorder, Wiring
from rig.replay.replayable import Replayable, unpack_continuation, unpack_payload
from rig.run.comparison import Comparison, Replayed
from rig.run.progress import Progress

__all__ = ["Bounds", "how_it_ended", "instruction", "replay", "replaying"]

OVER = ("replay file is over", "error reading the replay data")
"""QEMU's messages at the end of a recording that was cut, without an end event (replay/replay-internal.c)."""


@dataclass(frozen=True)
class Bounds:
    """Time limits of a replay, in host seconds.

    total: limit on the whole replay.
    still: limit on the time in which the guest executes no instruction.
    scale: factor for the time limits of QMP and migration, which are fixed elsewhere.
    """

    total: float
    still: float = 20.0
    scale: float = 1.0

    @classmethod
    def of(cls, replayable: Replayable, scale: float = 1.0) -> Bounds:
        """Return limits for a recording: ten times its duration plus a minute. A replay usually takes three times."""
        plan = next((phase.host_seconds for phase in replayable.run.phases if phase.name == "plan"), 60.0)
        return cls((60.0 + 10 * plan) * scale, 20.0 * scale, scale)


@asynccontextmanager
async def replaying(
    replayable: Replayable,
    qemu: Qemu,
    out: Path,
    listeners: Listeners,
    *,
    debugger: Debugger | None = None,
    scale: float = 1.0,
) -> AsyncIterator[Session]:
    """Start the guest of a recording, restored from its snapshot and stopped before the first instruction.

    scale: multiplies the deadlines, for slow machines.
    """
    name = f"replay-{replayable.run.id[-4:]}"
    with runtime_directory(name) as directory:
        payload = await finish_in_thread(unpack_payload, replayable, directory)
        continuation = await finish_in_thread(unpack_continuation, replayable, directory)
        guest = replayable.run.recording.guest
        wiring = Wiring(
            name=name,
            directory=directory,
            payload=payload,
            incoming=True,
            recorder=Recorder("replay", replayable.recording.resolve()),
            debugger=debugger,
            prealloc=guest is not None and guest.prealloc,
            continuation=continuation,
        )
        context = restored(replayable.spec, wiring, qemu, out, listeners, replayable.snapshot, scale=scale)
        async with context as session:
            yield session


async def instruction(session: Session) -> int:
    """Return how many instructions the guest has executed (QEMU's icount) since the start of its clock."""
    return int((await session.monitor.execute("query-replay"))["icount"])


async def replay(
    replayable: Replayable, qemu: Qemu, progress: Progress, *, bounds: Bounds, out: Path | None = None
) -> Replayed:
    """Replay to the end, or to the first difference.

    out: directory for the replay's own console.log and events.jsonl.
    A replay that hangs or ends early raises nothing: `Replayed.problem` says why.
    """
    progress.phase("replay")
    loop, parted = asyncio.get_running_loop(), asyncio.Event()
    recording = replayable.run.recording
    console = Comparison("console.log", replayable.directory / "console.log", recording.console_sha256)
    events = Comparison("events.jsonl", replayable.directory / "events.jsonl", recording.events_sha256)

    def feed(comparison: Comparison, data: bytes) -> None:
        comparison.feed(data)
        if comparison.difference is not None:
            # on_console is called in the thread that reads the console, and an asyncio.Event is not thread-safe.
            loop.call_soon_threadsafe(parted.set)

    listeners = Listeners(
        on_line=lambda line: progress.console(line.decode(errors="replace")),
        on_record=lambda record: progress.guest_time(float(record.get("t") or 0)),
        on_console=lambda data: feed(console, data),
        on_events=lambda data: feed(events, data),
    )
    with staging_directory("replay") as aside:
        directory = out or Path(aside)
        async with replaying(replayable, qemu, directory, listeners, scale=bounds.scale) as session:
            began = time.monotonic()
            await session.monitor.execute("cont")
            problem = await _to_its_end(session, parted, bounds)
            took = time.monotonic() - began
            await session.process.stop()
            await session.drain()
    recorded = next((phase.host_seconds for phase in replayable.run.phases if phase.name == "plan"), None)
    return Replayed(console, events, problem, took, recorded, replayable.cut)


async def _to_its_end(session: Session, parted: asyncio.Event, bounds: Bounds) -> str:
    """Wait until QEMU exits, the streams differ, or the guest executes no more instructions.

    Returns what went wrong, or ''.
    """
    ended = asyncio.ensure_future(session.process.wait())
    halted = asyncio.ensure_future(_halted(session))
    differs = asyncio.ensure_future(parted.wait())
    deadline = time.monotonic() + bounds.total
    last, moved = -1, time.monotonic()
    try:
        while True:
            waiting: set[asyncio.Future[Any]] = {ended, differs}
            if not halted.done():
                waiting.add(halted)
            await asyncio.wait(waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() or differs.done():
                return "" if differs.done() else how_it_ended(session, ended.result())
            # With an exception QEMU did not say its state, because it is about to exit or hangs.
            if halted.done() and halted.exception() is None:
                return halted.result()
            if _is_over(session):
                return "the recording ends here"
            now = time.monotonic()
            # A replay that waits for a missing event may block QEMU's monitor too.
            with contextlib.suppress(TimeoutError, RigError):
                count = await within(bounds.still, instruction(session))
                if count != last:
                    last, moved = count, now
            if now > deadline:
                return f"it was not over within {bounds.total:g} s, at instruction {last:,}"
            if now - moved > bounds.still:
                return f"it is stuck at instruction {last:,}: the guest did not go on for {bounds.still:g} s"
    finally:
        for each in (ended, differs, halted):
            each.cancel()


async def _halted(session: Session) -> str:
    """Wait until QEMU stops the guest for good, and return why; '' after a panic, with which a recording ends too."""
    while True:
        event = await session.monitor.next_event("GUEST_PANICKED", "STOP")
        if event["event"] == "GUEST_PANICKED":
            return ""
        state = await session.monitor.state()
        if state in BROKEN:
            return _quoted(f"QEMU stopped the guest: {state}", session)


def _quoted(what: str, session: Session) -> str:
    lines = session.process.words().strip().splitlines()
    return what + (f": {lines[-1]}" if lines else "")


def _is_over(session: Session) -> bool:
    words = session.process.words()
    return any(each in words for each in OVER)


def how_it_ended(session: Session, status: int) -> str:
    """Return why QEMU exited with that status, or '' for the expected end of a replay."""
    if _is_over(session):
        return "the recording ends here"
    if status < 0:
        return f"QEMU was ended by signal {-status}"
    if status:
        return _quoted(f"QEMU ended with status {status}", session)
    return ""
