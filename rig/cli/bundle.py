# SPDX-License-Identifier: MIT
"""`rig export` and `rig import`: a run and all that its replay needs, from one machine to another."""

from __future__ import annotations

from pathlib import Path

import typer

from rig.cli.waiting import Waiting
from rig.experiment.cache_use import keep_bound
from rig.image.store import Store
from rig.replay.export_bundle import export_run
from rig.replay.import_bundle import import_run
from rig.report.console import output_console
from rig.run.damage import warn_of_damage
from rig.run.directory import read_held_run, resolve_run
from rig.sanitize import plain
from rig.units import format_megabytes

app = typer.Typer()


@app.command("export")
def export(
    run: str = typer.Argument(help="A run: path, id, unique prefix, or last."),
    file: Path = typer.Argument(help="The file to write, as in run.tar.zst."),
) -> None:
    """Write a run with its kernel, image and snapshot into one archive, each with its hash."""
    directory = resolve_run(run)
    found = read_held_run(directory)
    warn_of_damage(found, directory)
    with Waiting(output_console()) as waiting:
        size = export_run(Store(), found, directory, file, packed=waiting.at)
    print(f"{file}  {format_megabytes(size)}")
    print(f"a replay needs QEMU {plain(found.environment.qemu)}" if found.recording.path else "without a recording")


@app.command("import")
def import_(
    file: Path = typer.Argument(help="A file that `rig export` wrote."),
    trust: bool = typer.Option(False, "--trust", help="Import the run although it adds QEMU options of its own."),
) -> None:
    """Import a run that another machine exported. Every file is checked against its hash."""
    store = Store()
    imported = import_run(store, file, trust=trust)
    keep_bound(store)
    print(f"run {imported.run.id}  {imported.directory}")
    for part in imported.added:
        print(f"added {plain(part)}")
