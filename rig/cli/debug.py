# SPDX-License-Identifier: MIT
"""`rig debug`: gdb on a replay, stopped where it matters."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from rig.cli import event_loop
from rig.cli.options import At, ChosenRun, TimeoutScale
from rig.image.hosttools import tool
from rig.image.store import Store
from rig.image.symbols import Symbols
from rig.machine.qemu import find_qemu
from rig.machine.ssh import free_port
from rig.replay.debug import debug as debug_run
from rig.replay.replay import Bounds
from rig.replay.replayable import replayable
from rig.replay.stop_point import StopPoint, default_stop_point, parse_stop_point
from rig.replay.stopped import NoSymbols, symbols_of
from rig.report.live import progress_for
from rig.run.directory import read_held_run, resolve_run
from rig.run.document import Run

app = typer.Typer()


@app.command()
def debug(
    run: ChosenRun = "last",
    at: At = None,
    execute: list[str] = typer.Option([], "-x", "--ex", help="gdb commands to begin with."),
    batch: bool = typer.Option(False, "--batch", help="End after these commands."),
    gdb_server: bool = typer.Option(False, "--gdb-server", help="Wait for your own debugger on 127.0.0.1 instead."),
    port: int = typer.Option(None, min=1024, max=65535, help="With --gdb-server: the port."),
    no_reverse: bool = typer.Option(False, "--no-reverse", help="Take no snapshot: forward only."),
    timeout_scale: TimeoutScale = 1.0,
) -> None:
    """Attach gdb to a replay that is stopped at the OOM, the panic, the fork, a mark or a time.

    reverse-stepi, reverse-continue and so on work, from a snapshot taken at the start of the replay.
    Commands that rig adds to gdb: rig-tasks, rig-oom, rig-cow ADDR [PID].
    """
    directory = resolve_run(run)
    found = read_held_run(directory)
    point = parse_stop_point(at) if at is not None else default_stop_point(found)
    if not gdb_server:
        tool("gdb")
    with progress_for(quiet=batch) as progress:
        progress.phase("check")
        store, qemu = Store(), find_qemu()
        ready = replayable(store, found, directory, qemu)
        symbols = _symbols(store, found, ready.spec.kernel, point)
        status = event_loop.run(
            debug_run(
                ready,
                qemu,
                symbols,
                point,
                progress,
                bounds=Bounds.of(ready, timeout_scale),
                commands=tuple(execute) or ("bt",),
                batch=batch,
                server=(port or free_port()) if gdb_server else None,
                reversible=not no_reverse,
                tell=lambda text: print(text, flush=True),
            )
        )
    raise typer.Exit(3 if status else 0)


def _symbols(store: Store, run: Run, kernel: Path, point: StopPoint) -> Symbols | None:
    """Return the symbols of the run's kernel, or None where `start` is to be debugged without them."""
    try:
        return symbols_of(store, run, kernel)
    except NoSymbols as error:
        if point.kind == "start":
            print(f"{error.what}, so gdb knows addresses alone: {error.remedy}", file=sys.stderr)
            return None
        raise NoSymbols(error.what, where=error.where, remedy=f"{error.remedy}; or --at start without them") from None
