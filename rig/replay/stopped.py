# SPDX-License-Identifier: MIT
"""Run a replay up to a stop point (the OOM, the panic, the fork, a mark, or a time) and hold it there.

Breakpoints are set on kernel functions. The guest boots with nokaslr, so their addresses are those in vmlinux.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.extras import require
from rig.finishing import within
from rig.image.elf import symbol_addresses
from rig.image.store import Store
from rig.image.symbols import Symbols, find_symbols, how_to_get
from rig.machine.gdbstub import DebugPort, GuestEnded, debug_port
from rig.machine.history import take_first_snapshot, write_empty_qcow2
from rig.machine.memory import member_offset
from rig.machine.qemu import Qemu
from rig.machine.session import Listeners, Session, confinement_user
from rig.machine.spec import Debugger
from rig.replay.guestclock import read_tick_clock
from rig.replay.replay import Bounds, how_it_ended, instruction, replaying
from rig.replay.replayable import Replayable
from rig.replay.stop_point import KINDS, StopPoint, check_reached, marks_of, recorded_since
from rig.run.document import Run
from rig.run.progress import Progress

__all__ = ["NoSymbols", "StoppedReplay", "stopped_at", "symbols_of"]

# Kernel functions of each stop point. The breakpoint goes to the first one that the kernel's symbols have.
FUNCTIONS = {
    # mm/oom_kill.c: oom_kill_process() prints the report and kills the victim; dump_header() stands in where the
    # compiler inlined it.
    "oom": ("oom_kill_process", "dump_header"),
    # kernel/panic.c: since 6.16 panic() calls vpanic(), which does the work.
    "panic": ("vpanic", "panic"),
    # kernel/sched/core.c: the child is complete and is about to be put on the run queue.
    "fork": ("wake_up_new_task",),
    # kernel/printk/printk.c: the agent writes its marks to /dev/kmsg.
    "mark": ("devkmsg_write",),
}


@dataclass(frozen=True)
class StoppedReplay:
    """A replay that is stopped at a stop point.

    function: the kernel function whose first instruction is next.
    clock: guest seconds of the first tick at or after the requested time, where the stop point is a time.
    """

    point: StopPoint
    session: Session
    port: DebugPort
    symbols: Symbols | None
    instruction: int
    function: str
    host_seconds: float
    clock: float | None = None


class NoSymbols(RigError):
    """This host has no debug symbols for a run's kernel."""


def symbols_of(store: Store, run: Run, kernel: Path) -> Symbols:
    """Return the debug symbols of the run's kernel. Raises NoSymbols where this host has none."""
    found = find_symbols(store, kernel)
    if found is None:
        raise NoSymbols(
            f"the debug symbols of {run.environment.kernel} are missing",
            where=store.root / "symbols",
            remedy=how_to_get(run.environment.kernel_name),
        )
    return found


@asynccontextmanager
async def stopped_at(
    replayable: Replayable,
    qemu: Qemu,
    symbols: Symbols | None,
    point: StopPoint,
    out: Path,
    progress: Progress,
    *,
    bounds: Bounds,
    debugger_port: int | None = None,
    reversible: bool = False,
) -> AsyncIterator[StoppedReplay]:
    """Replay up to the stop point and yield the stopped replay.

    symbols: None for the stop point `start` alone, which is at no function of the kernel.
    debugger_port: TCP port on 127.0.0.1 for QEMU's gdbstub.
    reversible: take a snapshot at the start, so that a debugger can execute backwards.

    Raises UsageError for a stop point that the run never reaches, and RigError when it is not reached in time.
    """
    check_reached(replayable.run, replayable.directory, point)
    if point.kind in ("fork", "t"):  # their conditions read members of the kernel's structures
        require("drgn")
    function, address = _function_of(point, symbols)
    listeners = Listeners(
        on_line=lambda line: progress.console(line.decode(errors="replace")),
        on_record=lambda record: progress.guest_time(float(record.get("t") or 0)),
    )
    progress.phase(f"replay to {point}")
    disk = None
    if reversible:
        disk = out / "history.qcow2"
        write_empty_qcow2(disk, confinement_user())
    async with (
        replaying(
            replayable, qemu, out, listeners, debugger=Debugger(debugger_port, disk), scale=bounds.scale
        ) as session,
        debug_port(session.wiring.gdb, debugger_port, scale=bounds.scale) as port,
    ):
        began = time.monotonic()
        if reversible:
            await take_first_snapshot(session.monitor, qemu)
        clock = None
        way = _Way(port, point, began + bounds.total, bounds.total)
        try:
            if symbols is None:
                pass  # the replay is at its start
            elif function:
                await way.to_function(address, _condition(replayable, point, symbols))
            elif point.kind == "t":
                clock = await way.to_time(replayable.spec.kernel, symbols)
        except GuestEnded:
            raise await _ended_early(session, point, bounds) from None
        count = await instruction(session)
        yield StoppedReplay(point, session, port, symbols, count, function, time.monotonic() - began, clock)


def _function_of(point: StopPoint, symbols: Symbols | None) -> tuple[str, int]:
    """Return the kernel function of a stop point with its address; ("", 0) for a point that is at none."""
    names = FUNCTIONS.get(point.kind, ())
    if symbols is None:
        if point.kind != "start":
            raise NoSymbols(f"{point} cannot be found without debug symbols", where="replay")
        return "", 0
    addresses = symbol_addresses(symbols.vmlinux, names)
    function = next((name for name in names if name in addresses), "")
    if names and not function:
        raise RigError(f"the kernel has none of {', '.join(names)}", where=symbols.vmlinux)
    return function, addresses.get(function, 0)


async def _ended_early(session: Session, point: StopPoint, bounds: Bounds) -> RigError:
    """Return the error of a replay that ended before its stop point, with how QEMU ended."""
    try:
        status = await within(bounds.still, session.process.wait())
        how = how_it_ended(session, status)
    except TimeoutError:
        how = "QEMU closed its debugger port and does not end"
    return RigError(
        f"the replay ended before it reached {point}" + (f": {how}" if how else ""),
        where="replay",
        remedy="`rig replay` checks whether the recording is complete",
    )


Condition = Callable[[DebugPort], Awaitable[bool]]


@dataclass(frozen=True)
class _Way:
    """Drives a stopped replay forward to its stop point.

    deadline: value of the host's monotonic clock.
    total: the time limit in host seconds, for the error message.
    """

    port: DebugPort
    point: StopPoint
    deadline: float
    total: float

    async def _go(self) -> None:
        try:
            await self.port.go(max(self.deadline - time.monotonic(), 0.1))
        except TimeoutError:
            raise RigError(
                f"the replay did not reach {self.point} within {self.total:g} s",
                where="replay",
                remedy="--timeout-scale 3 on a slow machine; `rig replay` checks whether the recording is complete",
            ) from None

    async def to_function(self, address: int, here: Condition) -> None:
        await self.port.break_at(address)
        while True:
            await self._go()
            if (await self.port.registers())["rip"] != address:
                raise RigError(
                    f"the replay stopped before it reached {self.point}",
                    where="replay",
                    remedy="`rig replay` shows where the replay stops",
                )
            arrived = await here(self.port)
            await self.port.clear(address)
            if arrived:
                return
            # A breakpoint at the current instruction would stop the guest again before it executes anything.
            await self.port.step()
            await self.port.break_at(address)

    async def to_time(self, kernel: Path, symbols: Symbols) -> float:
        """Run up to the first tick at or after the stop point's time, and return the guest's clock there.

        A watchpoint on jiffies stops the guest at each tick. A breakpoint would be slower: QEMU translates all guest
        code again after a breakpoint, but not after a watchpoint.
        """
        clock = await read_tick_clock(self.port, kernel, symbols)
        await self.port.watch(clock.jiffies)
        while (now := await clock.seconds(self.port)) < self.point.seconds:
            await self._go()
        await self.port.unwatch(clock.jiffies)
        return now


def _condition(replayable: Replayable, point: StopPoint, symbols: Symbols) -> Condition:
    async def always(port: DebugPort) -> bool:
        return True

    if point.kind == "mark":
        since = recorded_since(replayable.run, replayable.directory)
        return _nth(marks_of(replayable.directory, since=since).index(point.name) + 1)
    if point.kind == "fork":
        return _child_is(replayable.run, symbols)
    return always


def _nth(number: int) -> Condition:
    """Return a condition that is true at the number-th call, from 1.

    Every call of devkmsg_write() is a mark: the agent writes nothing else to /dev/kmsg while a plan runs.
    """
    seen = 0

    async def condition(port: DebugPort) -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    return condition


def _child_is(run: Run, symbols: Symbols) -> Condition:
    """Return a condition that is true when wake_up_new_task() starts the scenario's `child`."""
    wanted = run.roles.get("child")
    if wanted is None:
        raise UsageError("no process of this run is a `child`", where="--at fork", remedy=f"one of {KINDS}")
    offset = member_offset(symbols.vmlinux, "struct task_struct", "pid")

    async def condition(port: DebugPort) -> bool:
        # rdi holds the first argument (x86-64 calling convention): the struct task_struct of the new task.
        task = (await port.registers())["rdi"]
        return await port.number(task + offset, 4) == wanted

    return condition
