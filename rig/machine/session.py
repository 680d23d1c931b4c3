# SPDX-License-Identifier: MIT
"""Start a guest: make its sockets, start QEMU and connect to it. All of that is undone at the end of the block."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rig.errors import GuestError, RigError
from rig.finishing import finish_in_thread
from rig.image.staging import staging_directory
from rig.machine.channel import Channel
from rig.machine.command import build_command, printable
from rig.machine.console import Console
from rig.machine.host_cpu import keep_to, own_cpu
from rig.machine.pipe import ReadEnd
from rig.machine.process import QemuProcess, running_qemu
from rig.machine.qemu import Qemu
from rig.machine.qmp import Monitor
from rig.machine.serial_log import SERIAL_LOG, keep_serial, unheard
from rig.machine.spec import Clock, GuestSpec, Wiring
from rig.run.records import parse_record

__all__ = [
    "Listeners",
    "Session",
    "confined",
    "confinement_user",
    "runtime_directory",
    "started",
    "swap_file",
]

# Host seconds within which QEMU must start and connect to the QMP socket.
START_DEADLINE = 20.0
# Host seconds more for each GiB of memory that QEMU allocates before it connects: 8 GiB take 4 to 8 s when quiet.
PREALLOC_DEADLINE = 10.0
# Host seconds without a byte after which rig stops reading a port that QEMU did not close.
DRAIN_DEADLINE = 10.0


@dataclass(frozen=True)
class Listeners:
    """Callbacks for the guest's output.

    on_line: gets each line of the console, in the console's thread.
    on_record: gets each record of the agent.
    on_console: gets every kept byte of the console as it arrives, in the console's thread.
    on_events: gets every kept byte of the agent's port as it arrives.
    """

    on_line: Callable[[bytes], None] = lambda line: None
    on_record: Callable[[dict[str, Any]], None] = lambda record: None
    on_console: Callable[[bytes], None] = lambda data: None
    on_events: Callable[[bytes], None] = lambda data: None


@dataclass
class Session:
    """A started guest. Its CPUs are stopped until `monitor.execute("cont")`."""

    wiring: Wiring
    command: list[str]
    process: QemuProcess
    monitor: Monitor
    console: Console
    channel: Channel
    console_log: Path
    shell: socket.socket | None = None
    serial: Console | None = None
    """ttyS0, in a guest whose console is hvc0: what it printed before it had that console's driver."""
    bad_records: int = 0
    scale: float = 1.0
    """Multiplies the deadlines, for slow machines."""
    _waiting: list[tuple[str, asyncio.Future[dict[str, Any]]]] = field(default_factory=list)

    def collect(self, line: bytes, listeners: Listeners) -> None:
        """Process one line of the agent's port. A line that is not a record is counted in bad_records."""
        try:
            record = dict(parse_record(line))
        except ValueError:
            self.bad_records += 1
            return
        listeners.on_record(record)
        for wanted, future in self._waiting:
            if wanted == record["ev"] and not future.done():
                future.set_result(record)

    async def record(self, name: str, timeout: float) -> dict[str, Any]:
        """Wait for the agent's next record with this name and return it.

        timeout: seconds.
        Raises GuestError with the console's last lines when the guest ends first or the time is over.
        """
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((name, future))
        ended = asyncio.ensure_future(self.process.wait())
        try:
            waiting: set[asyncio.Future[Any]] = {future, ended}
            await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            if ended.done():
                # The record may lie in the pipe, written before QEMU ended and not read yet.
                await self.channel.drain(DRAIN_DEADLINE * self.scale)
                if future.done():
                    return future.result()
                status = ended.result()
                how = f"QEMU was ended by signal {-status}" if status < 0 else "the guest ended"
                raise self.failure(f"{how} before its agent said '{name}'")
            raise self.failure(
                f"the guest's agent did not say '{name}' within {timeout:g} s" + await self._why_stopped()
            )
        finally:
            ended.cancel()
            self._waiting = [pair for pair in self._waiting if pair[1] is not future]

    async def drain(self) -> None:
        """Read console and agent's port to their end, once QEMU has ended."""
        await self.channel.drain(DRAIN_DEADLINE * self.scale)
        for console in (self.console, self.serial):
            if console is not None:
                await asyncio.to_thread(console.drain, DRAIN_DEADLINE * self.scale)

    async def _why_stopped(self) -> str:
        """Return why the guest is silent: QEMU stopped its CPUs, or QEMU hangs. Empty if neither is the case."""
        try:
            state = await self.monitor.state()
        except RigError as error:
            return f": {error.what}"
        return "" if state == "running" else f": QEMU has stopped it ({state})"

    @property
    def left_out(self) -> dict[str, int]:
        """File name -> bytes that were dropped. A file that is complete is not in it."""
        found = {self.console_log.name: self.console.kept.left_out, "events.jsonl": self.channel.kept.left_out}
        return {name: count for name, count in found.items() if count}

    @property
    def bytes_seen(self) -> int:
        """Bytes that the guest has written to console and agent's port so far."""
        serial = 0 if self.serial is None else self.serial.bytes_seen
        return self.console.bytes_seen + self.channel.bytes_seen + serial

    def failure(self, what: str) -> GuestError:
        """Return an error that shows the console's last lines, QEMU's output and the exact command."""
        console = ""
        for log in (self.console_log, self.console_log.with_name(SERIAL_LOG)):
            with contextlib.suppress(OSError):
                console = console or log.read_bytes()[-6000:].decode(errors="replace")
        lines = [line.rstrip() for line in console.splitlines()[-12:]]
        words = self.process.words().strip()
        detail = "\n".join(
            [
                "the console's last lines:" if lines else "the console is empty",
                *lines,
                *(["QEMU said:", words] if words else []),
                "the command:",
                printable(self.command),
            ]
        )
        return GuestError(
            what,
            where="guest",
            remedy="see the console's last lines; --timeout-scale 3 on a slow machine",
            detail=detail,
        )


@contextmanager
def runtime_directory(name: str) -> Iterator[Path]:
    """Yield a private directory for sockets, removed at the end of the block.

    Its path is short because sun_path holds 108 bytes (unix(7)).
    """
    base = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"
    if len(base) > 60 or not os.access(base, os.W_OK):
        base = "/tmp"
    with staging_directory(name[:20], base) as path:
        yield path


def swap_file(spec: GuestSpec, directory: Path) -> Path | None:
    """Make the sparse file of the guest's swap disk and return its path, or None for a guest without swap."""
    if not spec.swap:
        return None
    path = directory / "swap"
    with path.open("wb") as file:
        file.truncate(spec.swap)
    return path


def confinement_user() -> str | None:
    """Return the user to which QEMU drops its privileges, or None if rig does not run as root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("nobody").pw_name
    except KeyError:
        raise RigError("there is no user nobody to run QEMU as", where="/etc/passwd") from None


def confined(wiring: Wiring) -> Wiring:
    """Return the wiring with run_as set to confinement_user()."""
    return replace(wiring, run_as=confinement_user())


@asynccontextmanager
async def started(
    spec: GuestSpec,
    wiring: Wiring,
    qemu: Qemu,
    out: Path,
    listeners: Listeners,
    *,
    records_before: bytes = b"",
    console_before: bytes = b"",
    state: int | None = None,
    memory: int | None = None,
    scale: float = 1.0,
) -> AsyncIterator[Session]:
    """Start a guest, connected and stopped at its first instruction, and yield it.

    out: the directory for console.log, events.jsonl and qemu.log.
    records_before: what the agent reported before the snapshot that is to be restored.
    console_before: what the guest printed before it, if that belongs to the run.
    state: an open descriptor of the snapshot's file, to save to or restore from.
    memory: an open descriptor of the file that backs the guest's memory.
    scale: multiplies the deadlines, for slow machines.
    Raises RigError when QEMU does not start.
    """
    wiring = confined(wiring)
    command = build_command(spec, wiring, qemu)
    monitor = Monitor(wiring.name, scale)
    log = out / "console.log"
    console = Console(ReadEnd(wiring.console), log, listeners.on_line, listeners.on_console, console_before)
    serial = Console(ReadEnd(wiring.serial), out / SERIAL_LOG, unheard) if spec.has_virtio_console else None
    shell = _listening(wiring.shell_socket) if wiring.shell else None
    session: Session | None = None

    def on_line(line: bytes) -> None:
        if session is not None:
            session.collect(line, listeners)

    channel = Channel(out / "events.jsonl", on_line, records_before, listeners.on_events)
    # All of them before QEMU starts: it connects to the socket and opens the pipes while it reads its command line, and
    # ends where one of them is missing.
    await monitor.listen(wiring.qmp)
    await channel.listen(wiring.events)
    console.start()
    if serial is not None:
        serial.start()
    try:
        inherit = [each for each in (state, memory, wiring.dump) if each is not None]
        # Only a warp guest is pinned: a live guest runs its vCPU threads in parallel (thread=multi, or KVM).
        warp = spec.clock is Clock.WARP
        with own_cpu() if warp else contextlib.nullcontext() as cpu:
            async with running_qemu(command, out / "qemu.log", inherit, small_pages=warp) as process:
                session = Session(wiring, command, process, monitor, console, channel, log, shell, serial, scale=scale)
                await _connected(session, start_deadline(spec, wiring) * scale)
                # Pin only now: the threads that preallocate memory at the start use all CPUs.
                keep_to(process.pid, cpu)
                yield session
    finally:
        channel.close()
        if shell is not None:
            shell.close()
        await monitor.close()
        # It joins the thread that reads the console, which must not hold up the event loop.
        await asyncio.to_thread(console.close)
        if serial is not None:
            await asyncio.to_thread(serial.close)
            await finish_in_thread(keep_serial, out / SERIAL_LOG, log, booted=not wiring.incoming)


def start_deadline(spec: GuestSpec, wiring: Wiring) -> float:
    """Return the host seconds within which QEMU must start and connect."""
    return START_DEADLINE + (PREALLOC_DEADLINE * spec.memory / (1 << 30) if wiring.prealloc else 0)


def _listening(path: Path) -> socket.socket:
    """Return a socket for the guest's second console. QEMU refuses to start when nothing listens on it."""
    shell = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    shell.bind(str(path))
    shell.listen(1)
    return shell


async def _connected(session: Session, deadline: float) -> None:
    accept = asyncio.ensure_future(session.monitor.accept())
    ended = asyncio.ensure_future(session.process.wait())
    try:
        await asyncio.wait({accept, ended}, timeout=deadline, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise RigError(
                f"QEMU ended at once with status {ended.result()}",
                where=session.command[0],
                remedy="see QEMU's messages below; `rig doctor` checks what is missing",
                detail=f"{session.process.words().strip()}\n{printable(session.command)}",
            )
        if not accept.done():
            raise RigError(
                f"QEMU did not connect within {deadline:g} s",
                where=session.command[0],
                remedy="on a slow machine: --timeout-scale 3",
            )
        accept.result()
    finally:
        ended.cancel()
        if not accept.done():
            accept.cancel()
