# SPDX-License-Identifier: MIT
"""gdb on a replay that is stopped at a stop point; or the replay held there for the user's own debugger."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from rig.image.hosttools import tool
from rig.image.staging import staging_directory
from rig.image.symbols import Symbols
from rig.machine.features import NO_REVERSE, UNSURE_REVERSE, has
from rig.machine.qemu import Qemu
from rig.replay.replay import Bounds
from rig.replay.replayable import Replayable
from rig.replay.stop_point import StopPoint
from rig.replay.stopped import StoppedReplay, stopped_at
from rig.run.progress import Progress

__all__ = ["HELPERS", "debug", "gdb_command", "launch_entry", "reverse_note"]

HELPERS = Path(__file__).parent.parent / "machine" / "ingdb.py"


def gdb_command(symbols: Symbols | None, target: str, commands: tuple[str, ...] = ()) -> list[str]:
    """Return the command line that attaches gdb.

    symbols: of the kernel; None where there are none, so that gdb knows addresses alone.
    target: path of a Unix socket, or HOST:PORT.
    commands: gdb commands to run after gdb has attached.
    """
    before = (
        # auto-load would run gdb scripts that lie beside vmlinux or in the user's current directory.
        "set auto-load off", "set confirm off", "set pagination off", "set style enabled off",
        "set architecture i386:x86-64",
        # gdb resends a packet after two seconds by default, and QEMU's gdbstub then answers it twice.
        "set remotetimeout 60",
    )  # fmt: skip
    after = (f"target remote {target}", f"source {HELPERS}", *commands)
    words = [word for command in before for word in ("-iex", command)]
    program = [] if symbols is None else [str(symbols.vmlinux)]
    return ["gdb", "-q", "-nx", *words, *program, *(word for command in after for word in ("-ex", command))]


def launch_entry(symbols: Symbols | None, port: int, name: str) -> str:
    """Return an entry for `configurations` in VS Code's launch.json (type cppdbg of the C/C++ extension)."""
    entry = {
        "name": name,
        "type": "cppdbg",
        "request": "launch",
        "MIMode": "gdb",
        "program": "" if symbols is None else str(symbols.vmlinux),
        "cwd": "${workspaceFolder}",
        "miDebuggerServerAddress": f"127.0.0.1:{port}",
        "setupCommands": [{"text": f"source {HELPERS}"}],
    }
    return json.dumps(entry, indent=4)


def reverse_note(qemu: Qemu) -> str:
    """Return what a user is told who may go back under this QEMU; empty where it is known to work."""
    if has(qemu, NO_REVERSE):
        return "this QEMU does not come back from a reverse command: forward only; run and debug with 7.2 (RIG_QEMU)"
    if not has(qemu, UNSURE_REVERSE):
        return ""
    return (
        "this QEMU may not come back from a reverse command; if so, end gdb, and run and debug with QEMU 7.2 (RIG_QEMU)"
    )


async def debug(
    replayable: Replayable,
    qemu: Qemu,
    symbols: Symbols | None,
    point: StopPoint,
    progress: Progress,
    *,
    bounds: Bounds,
    commands: tuple[str, ...] = (),
    batch: bool = False,
    server: int | None = None,
    reversible: bool = True,
    tell: Callable[[str], None] = print,
) -> int:
    """Replay to the stop point, run gdb on the stopped guest, and return gdb's exit status.

    commands: gdb commands to start with.
    batch: exit after the commands instead of showing a prompt.
    server: port on 127.0.0.1 on which the replay waits for the user's debugger, until it is interrupted.
    reversible: whether gdb may go back. Under a QEMU that never comes back (NO_REVERSE) it may not: without a snapshot
    QEMU answers a reverse command with an error (replay_seek(), replay/replay-debugging.c).
    Raises the errors of stopped_at().
    """
    if server is None:
        tool("gdb")
    with staging_directory("debug") as name:
        context = stopped_at(
            replayable,
            qemu,
            symbols,
            point,
            Path(name),
            progress,
            bounds=bounds,
            debugger_port=server,
            reversible=reversible and not has(qemu, NO_REVERSE),
        )
        async with context as stopped:
            progress.__exit__(None, None, None)
            where = f" ({stopped.function})" if stopped.function else ""
            if stopped.clock is not None:
                where = f" (a tick at {stopped.clock:.3f} s)"
            tell(f"stopped at {point}{where}, instruction {stopped.instruction:,}")
            if reversible and (note := reverse_note(qemu)):
                tell(note)
            stopped.port.close()
            if server is not None:
                return await _serve(stopped, symbols, server, replayable.run.id, tell)
            command = gdb_command(symbols, str(stopped.session.wiring.gdb), commands)
            return await _attended([*command, "-batch"] if batch else command, stopped)


async def _attended(command: list[str], stopped: StoppedReplay) -> int:
    ended_by: list[int] = []

    def end_gdb(number: int, frame: FrameType | None) -> None:
        ended_by.append(number)
        gdb.kill()

    # Ctrl-C must reach gdb only. SIG_IGN would be inherited by gdb; a handler is reset by execve(). What else ends
    # rig has to end gdb first: rig's own handlers raise SIGINT, which nobody would see here.
    before = {signal.SIGINT: signal.signal(signal.SIGINT, lambda number, frame: None)}
    noted = signal.set_wakeup_fd(-1)
    try:
        gdb = subprocess.Popen(command)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, end_gdb)
        try:
            status = await asyncio.to_thread(gdb.wait)
        finally:
            if gdb.poll() is None:
                gdb.kill()
                gdb.wait()
    finally:
        signal.set_wakeup_fd(noted)
        for number, handler in before.items():
            signal.signal(number, handler)
    if ended_by:
        signal.raise_signal(ended_by[0])
        await asyncio.sleep(0)
    return status


async def _serve(
    stopped: StoppedReplay, symbols: Symbols | None, port: int, run: str, tell: Callable[[str], None]
) -> int:
    program = "" if symbols is None else f"{symbols.vmlinux} "
    tell(f"attach with: gdb {program}-ex 'target remote 127.0.0.1:{port}' -ex 'source {HELPERS}'")
    tell(f"or, in VS Code's launch.json:\n{launch_entry(symbols, port, f'rig {run}')}")
    tell("Ctrl-C ends the guest")
    with contextlib.suppress(asyncio.CancelledError):
        await stopped.session.process.wait()
    return 0
