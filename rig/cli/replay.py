# SPDX-License-Identifier: MIT
"""`rig replay`: run a recording again and compare it with the run, byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rig.cli import event_loop
from rig.cli.options import ChosenRun, TimeoutScale
from rig.image.store import Store
from rig.machine.qemu import find_qemu
from rig.replay.replay import Bounds
from rig.replay.replay import replay as replay_run
from rig.replay.replayable import replayable
from rig.report.console import output_console
from rig.report.live import progress_for
from rig.report.replay import print_replayed
from rig.run.damage import warn_of_damage
from rig.run.directory import read_held_run, resolve_run
from rig.run.progress import Progress

if TYPE_CHECKING:
    from rig.branch.again import PastAgain

app = typer.Typer()


@app.command()
def replay(
    run: ChosenRun = "last",
    out: Path = typer.Option(None, help="Keep the replay's own console.log and events.jsonl in this directory."),
    no_check: bool = typer.Option(False, "--no-check", help="Do not compare the recording with its hash first."),
    from_boot: bool = typer.Option(
        False,
        "--from-boot",
        help="Where a run began at a saved point, run what came before it again, from the boot, and compare it.",
    ),
    timeout_scale: TimeoutScale = 1.0,
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only the result."),
) -> None:
    """Replay a run and compare its console and records with the recorded ones.

    Exit status: 0 identical, 1 it differs, 3 it cannot be replayed.
    """
    directory = resolve_run(run)
    found = read_held_run(directory)
    warn_of_damage(found, directory)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    with progress_for(quiet=quiet) as progress:
        progress.phase("check")
        qemu = find_qemu()
        ready = replayable(Store(), found, directory, qemu, check=not no_check)
        bounds = Bounds.of(ready, timeout_scale)
        past = _past(directory, progress, timeout_scale) if from_boot else None
        replayed = event_loop.run(replay_run(ready, qemu, progress, bounds=bounds, out=out))
    print_replayed(output_console(), replayed)
    if past is not None:
        print(past)
    raise typer.Exit(0 if replayed.identical and not (past and past.differs) else 1)


def _past(directory: Path, progress: Progress, timeout_scale: float) -> PastAgain | None:
    from rig.branch.again import past_from_boot

    return event_loop.run(past_from_boot(directory, Store(), progress, timeout_scale=timeout_scale))
