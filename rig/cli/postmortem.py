# SPDX-License-Identifier: MIT
"""`rig post-mortem`: the guest's memory at a point of a run, read with the kernel's own types."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from rig.cli import event_loop
from rig.cli.options import At, ChosenRun, TimeoutScale
from rig.extras import require
from rig.image.store import Store
from rig.machine.qemu import find_qemu
from rig.replay.postmortem.examine import post_mortem as read_memory
from rig.replay.postmortem.examine import post_mortem_of_dump, post_mortem_without_symbols
from rig.replay.replay import Bounds
from rig.replay.replayable import kernel_of, replayable
from rig.replay.stop_point import default_stop_point, parse_stop_point
from rig.replay.stopped import NoSymbols, symbols_of
from rig.report.console import output_console
from rig.report.live import progress_for
from rig.report.postmortem import print_post_mortem
from rig.run.directory import read_held_run, resolve_run
from rig.sanitize import for_json

app = typer.Typer()


@app.command("post-mortem")
def post_mortem(
    run: ChosenRun = "last",
    at: At = None,
    as_json: bool = typer.Option(False, "--json", help="Print all of it as JSON."),
    frames: bool = typer.Option(False, "--frames", help="With --json: the frame number of each page."),
    without_symbols: bool = typer.Option(
        False, "--without-symbols", help="Only what the guest itself reported: the OOM report and its page maps."
    ),
    dump: Path = typer.Option(
        None, help="Keep the memory in this file (ELF, compressed with zstd), for crash or drgn."
    ),
    timeout_scale: TimeoutScale = 1.0,
) -> None:
    """Replay a run up to a stop point and read the guest's memory there.

    Numbers that the kernel's OOM report also has are compared with it. Without a recording, or without the kernel's
    debug symbols, it shows what the guest itself reported, and says so.
    """
    directory = resolve_run(run)
    found = read_held_run(directory)
    point = parse_stop_point(at) if at is not None else default_stop_point(found)
    store, symbols, why = Store(), None, ""
    dumped = found.recording.path is None and found.panic_dump is not None and point.kind == "panic"
    with progress_for(quiet=as_json) as progress:
        progress.phase("check")
        if without_symbols:
            why = "asked for: --without-symbols"
        elif found.recording.path is None and not dumped:
            why = f"this run has no recording: {found.recording.reason or 'it names no reason'}"
        else:
            try:
                symbols = symbols_of(store, found, kernel_of(store, found, directory))
            except NoSymbols as error:
                why = f"{error.what}: {error.remedy}"
            else:
                require("drgn")
        if symbols is None:
            result = post_mortem_without_symbols(found, directory, point, why)
        elif dumped:
            result = post_mortem_of_dump(found, directory, symbols, frames=frames)
        else:
            qemu = find_qemu()
            ready = replayable(store, found, directory, qemu)
            bounds = Bounds.of(ready, timeout_scale)
            result = event_loop.run(
                read_memory(ready, qemu, symbols, point, progress, bounds=bounds, frames=frames, keep=dump)
            )
    if as_json:
        sys.stdout.write(for_json(result.model_dump_json(indent=1)) + "\n")
    else:
        print_post_mortem(output_console(), result)
