# SPDX-License-Identifier: MIT
"""Watch for what ends a guest early.

QEMU stops it after a panic, whose memory is dumped, and after an error of its own; rig ends it when the recording
grows too large, and when its agent has been silent for longer than the plan allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rig.errors import RigError
from rig.experiment.execution import Execution
from rig.finishing import finish_in_thread
from rig.machine.command import DUMP_SET
from rig.machine.memory import pack_dump
from rig.machine.printk_ring import kernel_log
from rig.machine.qmp import BROKEN, DUMP_DEADLINE
from rig.machine.recording import LARGEST_RECORDING
from rig.machine.session import Session
from rig.units import format_size

__all__ = ["PANIC_DUMP", "room_for_a_dump", "watch_recording", "watch_silence", "watch_stops"]

logger = logging.getLogger(__name__)
PANIC_DUMP = "panic.elf"
LOOK_EVERY = 1.0
"""Host seconds between two looks at the recording's size, and at what the agent has reported."""


@contextmanager
def room_for_a_dump(path: Path) -> Iterator[int]:
    """Yield the descriptor of a file for a dump; remove the file if it stays empty.

    QEMU is confined and may not open files itself, so it is passed the descriptor.
    """
    with path.open("wb") as file:
        yield file.fileno()
    if path.exists() and not path.stat().st_size:
        path.unlink()


async def watch_stops(session: Session, execution: Execution) -> None:
    """Wait until QEMU stops the guest, after a panic or an error of QEMU, and record the reason.

    Most runs have neither: the caller cancels it when the guest has ended.
    """
    # QEMU may end while it is asked for its state.
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


async def watch_recording(session: Session, execution: Execution) -> None:
    """Wait until the recording is too large, then record that as the reason and quit QEMU.

    QEMU cannot go on without recording. Returns at once for a guest that is not recorded.
    """
    recorder = session.wiring.recorder
    with contextlib.suppress(RigError):
        while recorder is not None:
            await asyncio.sleep(LOOK_EVERY)
            if recorder.file.exists() and recorder.file.stat().st_size > LARGEST_RECORDING:
                # All in one text, because it becomes the run's reason. The file has another path once the run is kept.
                execution.stopped = RigError(
                    f"the guest was ended, because its recording has more than {format_size(LARGEST_RECORDING)}:"
                    " run it with --no-record, or let the guest print less"
                )
                await session.monitor.execute("quit")
                return


async def watch_silence(
    session: Session, execution: Execution, ended: asyncio.Future[Any], longest: float | None
) -> None:
    """Wait until the agent has reported nothing for too long, then record that as the reason and quit QEMU.

    The agent is a real-time task whose memory is locked. One that does not report what its plan asks for periodically
    cannot end a program either: the guest is stuck.
    ended: the agent's `end` record. A guest that panicked is being dumped, and reports nothing.
    longest: host seconds; None for a plan that does not report periodically: returns at once.
    """
    seen, silent = -1, 0.0
    with contextlib.suppress(RigError):
        while longest is not None:
            await asyncio.sleep(LOOK_EVERY)
            if ended.done() or execution.panicked:
                return
            # Looks are counted, and not the clock read: while rig is stopped, nobody reads what the agent reports.
            silent = silent + LOOK_EVERY if session.channel.bytes_seen == seen else 0.0
            seen = session.channel.bytes_seen
            if silent >= longest:
                execution.stopped = RigError(
                    f"the guest was ended, because its agent reported nothing for {longest:g} s: a real-time program or"
                    " the kernel keeps its CPUs, or the host is slow (--timeout-scale 3)"
                )
                await session.monitor.execute("quit")
                return


async def _hold_panic(session: Session, execution: Execution) -> None:
    """Read the log of a guest that panicked, dump its memory if that was requested, and quit QEMU.

    QEMU runs with -action panic=pause, so the guest is stopped but its memory is still there.
    """
    execution.panicked = True
    execution.log_at_panic = await kernel_log(session.monitor)
    if execution.log_at_panic is None:
        logger.debug("the kernel's log could not be read from the memory of the guest that panicked")
    dump = session.console_log.with_name(PANIC_DUMP)
    try:
        if session.wiring.dump is None:
            return
        await session.monitor.execute(
            "dump-guest-memory", deadline=DUMP_DEADLINE, paging=False, protocol=f"file:/dev/fdset/{DUMP_SET}"
        )
        execution.panic_dump = (await finish_in_thread(pack_dump, dump)).name
    except RigError as error:
        logger.warning("the guest that panicked could not be dumped: %s", error)
        # An incomplete ELF core cannot be read.
        dump.unlink(missing_ok=True)
    finally:
        with contextlib.suppress(RigError):
            await session.monitor.execute("quit")
