"""A replay brought to a named place and stopped there: at the OOM, the panic, the fork, a mark, or a time.

Breakpoints are on kernel functions; the guest runs with nokaslr, so their addresses are those of its vmlinux.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError, WrongCall
from rig.experiment.replay import Bounds, how_it_ended, instruction, replaying
from rig.experiment.replayable import Replayable
from rig.image.elf import symbol_addresses
from rig.image.store import Store
from rig.image.symbols import Symbols, find_symbols, how_to_get
from rig.machine.gdbstub import DebugPort, GuestEnded, debug_port
from rig.machine.history import take_first_snapshot, write_empty_qcow2
from rig.machine.qemu import Qemu
from rig.machine.session import Listeners, Session, confinement_user
from rig.report.live import Progress
from rig.run.model import Run
from rig.units import parse_duration

__all__ = ["Instant", "Place", "at_place", "default_place", "parse_place", "symbols_of"]

KINDS = "oom, panic, fork, start, mark:NAME, t=TIME"
# Where each place is: the first of these functions that the kernel has.
FUNCTIONS = {
    # mm/oom_kill.c: the report is printed and the victim killed in it; dump_header() where it was inlined.
    "oom": ("oom_kill_process", "dump_header"),
    # kernel/panic.c: vpanic() is below panic() since 6.16.
    "panic": ("vpanic", "panic"),
    # kernel/sched/core.c: the child is complete and about to be put on the run queue.
    "fork": ("wake_up_new_task",),
    # kernel/printk/printk.c: the agent's marks go through /dev/kmsg.
    "mark": ("devkmsg_write",),
    # kernel/time/hrtimer.c: every tick.
    "t": ("hrtimer_interrupt",),
}
# jiffies begins five minutes below its 32-bit wrap (include/linux/jiffies.h, INITIAL_JIFFIES).
MINUTES_BEFORE_WRAP = 5


@dataclass(frozen=True)
class Place:
    """kind: oom, panic, fork, start, mark or t. name: the mark's; seconds: of the guest's clock."""

    kind: str
    name: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.kind == "mark":
            return f"mark:{self.name}"
        return f"t={self.seconds:g}s" if self.kind == "t" else self.kind


@dataclass(frozen=True)
class Instant:
    """A replay that stands at a place. function: whose first instruction is next, with its address."""

    place: Place
    session: Session
    port: DebugPort
    symbols: Symbols
    instruction: int
    function: str
    host_seconds: float


def parse_place(text: str) -> Place:
    """Return the place of that spelling. Raises WrongCall."""
    if text in ("oom", "panic", "fork", "start"):
        return Place(text)
    if text.startswith("mark:") and len(text) > 5:
        return Place("mark", name=text[5:])
    if text.startswith("t="):
        try:
            return Place("t", seconds=parse_duration(text[2:]))
        except ValueError as error:
            raise WrongCall(str(error), where=f"--at {text}", remedy="as in t=275s") from None
    raise WrongCall(f"'{text}' is no place", where="--at", remedy=f"one of {KINDS}")


def default_place(run: Run) -> Place:
    """Return where a run is worth stopping: at its OOM, else at its panic, else at its start."""
    if run.ooms and not (run.panic and run.recording.path is None):
        return Place("oom")
    return Place("panic") if run.panic else Place("start")


def symbols_of(store: Store, run: Run, kernel: Path) -> Symbols:
    """Return the symbols of the run's kernel. Raises RigError where they are not here."""
    found = find_symbols(store, kernel)
    if found is None:
        raise RigError(
            f"the debug symbols of {run.environment.kernel} are not here",
            where=store.root / "symbols",
            remedy=how_to_get(run.environment.kernel_name),
        )
    return found


def _refuse_what_never_comes(run: Run, place: Place, marks: tuple[str, ...]) -> None:
    if place.kind == "oom" and not run.ooms:
        raise WrongCall("there was no OOM in this run", where="--at oom", remedy=f"one of {KINDS}")
    if place.kind == "panic" and not run.panic:
        raise WrongCall("the guest of this run did not panic", where="--at panic", remedy=f"one of {KINDS}")
    if place.kind == "mark" and place.name not in marks:
        raise WrongCall(
            f"the run has no mark '{place.name}'",
            where="--at",
            remedy=f"its marks: {', '.join(marks)}" if marks else "it has none",
        )
    if place.kind == "t" and run.guest_seconds is not None and place.seconds > run.guest_seconds:
        raise WrongCall(
            f"the run ended at {run.guest_seconds:.1f} s of its clock", where="--at", remedy="an earlier time"
        )


def marks_of(folder: Path) -> tuple[str, ...]:
    """Return the names of a run's marks in the order in which they came, from its console."""
    try:
        console = (folder / "console.log").read_bytes().decode(errors="replace")
    except OSError:
        return ()
    return tuple(re.findall(r"^\[ *[\d.]+\](?:\[[^\]]*\])? rig: mark (\S+)", console, flags=re.MULTILINE))


@asynccontextmanager
async def at_place(
    replayable: Replayable,
    qemu: Qemu,
    symbols: Symbols,
    place: Place,
    out: Path,
    progress: Progress,
    *,
    bounds: Bounds,
    debugger_port: int | None = None,
    reversible: bool = False,
) -> AsyncIterator[Instant]:
    """Replay up to the place and yield the stopped replay.

    debugger_port: let QEMU's debugger port be this one of 127.0.0.1; reversible: take a snapshot at the start, so
    that a debugger can go back from there.

    Raises WrongCall for a place that the run has not, RigError when it is not reached within the bounds.
    """
    marks = marks_of(replayable.folder)
    _refuse_what_never_comes(replayable.run, place, marks)
    names = FUNCTIONS.get(place.kind, ())
    addresses = symbol_addresses(symbols.vmlinux, [*names, "jiffies_64", "jiffies"])
    function = next((name for name in names if name in addresses), "")
    if names and not function:
        raise RigError(f"the kernel has none of {', '.join(names)}", where=symbols.vmlinux)
    listeners = Listeners(
        on_line=lambda line: progress.console(line.decode(errors="replace")),
        on_record=lambda record: progress.guest_time(float(record.get("t") or 0)),
    )
    progress.phase(f"replay to {place}")
    disk = None
    if reversible:
        disk = out / "history.qcow2"
        write_empty_qcow2(disk, confinement_user())
    async with (
        replaying(
            replayable, qemu, out, listeners, debugger=True, debugger_port=debugger_port, history=disk
        ) as session,
        debug_port(session.wiring.gdb, debugger_port) as port,
    ):
        began = time.monotonic()
        if reversible:
            await take_first_snapshot(session.monitor)
        if function:
            here = _condition(replayable, place, marks, addresses, symbols)
            try:
                await _go_until(port, addresses[function], here, place, bounds)
            except GuestEnded:
                how = how_it_ended(session, await session.process.wait())
                raise RigError(
                    f"the replay ended before it came to {place}" + (f": {how}" if how else ""),
                    where="replay",
                    remedy="rig replay says whether the recording is whole",
                ) from None
        count = await instruction(session)
        yield Instant(place, session, port, symbols, count, function, time.monotonic() - began)


Condition = Callable[[DebugPort], Awaitable[bool]]


async def _go_until(
    port: DebugPort,
    address: int,
    here: Condition,
    place: Place,
    bounds: Bounds,
) -> None:
    deadline = time.monotonic() + bounds.total
    await port.break_at(address)
    while True:
        left = deadline - time.monotonic()
        try:
            await port.go(max(left, 0.1))
        except TimeoutError:
            raise RigError(
                f"the replay did not come to {place} within {bounds.total:g} s",
                where="replay",
                remedy="--timeout-scale 3 on a slow machine; rig replay says whether the recording is whole",
            ) from None
        if (await port.registers())["rip"] != address:
            raise RigError(f"the replay stopped before it came to {place}", where="replay", remedy="see rig replay")
        if await here(port):
            await port.clear(address)
            return
        # A breakpoint under the next instruction would stop it again at once.
        await port.clear(address)
        await port.step()
        await port.break_at(address)


def _condition(
    replayable: Replayable, place: Place, marks: tuple[str, ...], addresses: dict[str, int], symbols: Symbols
) -> Condition:
    async def always(port: DebugPort) -> bool:
        return True

    if place.kind == "mark":
        return _nth(marks.index(place.name) + 1)
    if place.kind == "fork":
        return _child_is(replayable.run, symbols)
    if place.kind == "t":
        jiffies = addresses.get("jiffies_64") or addresses["jiffies"]
        return _clock_is(place.seconds, jiffies, _hertz(replayable.spec.kernel))
    return always


def _nth(number: int) -> Condition:
    """The agent writes nothing but marks to /dev/kmsg while a plan runs."""
    seen = 0

    async def condition(port: DebugPort) -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    return condition


def _child_is(run: Run, symbols: Symbols) -> Condition:
    """The new task is the scenario's `child`."""
    wanted = run.roles.get("child")
    if wanted is None:
        raise WrongCall("no process of this run is a `child`", where="--at fork", remedy=f"one of {KINDS}")
    offset = member_offset(symbols, "struct task_struct", "pid")

    async def condition(port: DebugPort) -> bool:
        task = (await port.registers())["rdi"]
        return await port.number(task + offset, 4) == wanted

    return condition


def member_offset(symbols: Symbols, kind: str, member: str) -> int:
    """Return the offset in bytes of a structure's member, from the debug information."""
    from rig.machine.memory import type_program

    return int(type_program(symbols.vmlinux).type(kind).member(member).offset)


def _hertz(kernel: Path) -> int:
    """CONFIG_HZ from the configuration that lies beside the kernel; 250, as Debian has it, where there is none."""
    try:
        found = re.search(r"^CONFIG_HZ=(\d+)$", (kernel.parent / "config").read_text(), flags=re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) if found else 250


def _clock_is(seconds: float, jiffies: int, hertz: int) -> Condition:
    target = (-MINUTES_BEFORE_WRAP * 60 * hertz & 0xFFFFFFFF) + int(seconds * hertz)

    async def condition(port: DebugPort) -> bool:
        return await port.number(jiffies) >= target

    return condition
