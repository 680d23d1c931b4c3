# SPDX-License-Identifier: MIT
"""`rig runs` and `rig compare`: the runs that are kept, and two of them side by side."""

from __future__ import annotations

import typer
from rich.console import Console

from rig.cli.options import ChosenRun, OtherRun
from rig.report.catalogue import runs_table
from rig.report.compare import comparison
from rig.run.folder import list_runs, read_run, resolve_run

app = typer.Typer()


@app.command()
def runs(last: int = typer.Option(None, min=1, help="Only so many, the newest.")) -> None:
    """List the runs that are kept, oldest first."""

    Console().print(runs_table(list_runs(last=last)))


@app.command()
def compare(
    left: ChosenRun,
    right: OtherRun,
    differences: bool = typer.Option(False, "--differences", help="Only what differs."),
) -> None:
    """Show two runs side by side: parameters, claims and numbers, differences marked."""
    console = Console()
    found = [read_run(resolve_run(name)) for name in (left, right)]
    for part in comparison(found[0], found[1], everything=not differences):
        console.print(part)
