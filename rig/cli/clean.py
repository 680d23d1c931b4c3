# SPDX-License-Identifier: MIT
"""`rig clean`: end and remove what a killed rig left behind."""

from __future__ import annotations

import typer

from rig.image.staging import remove_staging_directories
from rig.image.store import Store
from rig.machine.leftovers import find_leftovers
from rig.run.directory import runs_directory
from rig.run.unfinished import remove_leftovers

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def clean() -> None:
    """End QEMU processes whose rig has gone, and remove unfinished directories and files. Runs and images stay.

    Unfinished single files (.NAME.PID.partial) are removed an hour after they were written last: a younger one may be
    of a rig on another machine that shares the directory.
    """
    left = find_leftovers()
    for process in left:
        process.end()
        print(f"ended QEMU {process.pid} ({process.name})")
    removed = len(remove_leftovers(runs_directory())) + remove_staging_directories() + Store().sweep_leftovers()
    print(f"{len(left)} processes ended, {removed} unfinished directories and files removed")
