# SPDX-License-Identifier: MIT
"""`rig runs` and `rig compare`: the runs that are kept, and two of them side by side."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.command()
def runs(last: int = typer.Option(None, min=1, help="Only so many, the newest.")) -> None:
    """List the runs that are kept, oldest first."""
    from rich.console import Console

    from rig.report.catalogue import runs_table
    from rig.run.folder import list_runs

    Console().print(runs_table(list_runs(last=last)))


@app.command()
def compare(
    left: str = typer.Argument(help="A run: path, id, unique prefix, or last."),
    right: str = typer.Argument(help="The other run."),
    differences: bool = typer.Option(False, "--differences", help="Only what differs."),
) -> None:
    """Show two runs side by side: parameters, claims and numbers, differences marked."""
    from rich.console import Console

    from rig.report.compare import comparison
    from rig.run.folder import read_run, resolve_run

    console = Console()
    found = [read_run(resolve_run(name)) for name in (left, right)]
    for part in comparison(found[0], found[1], everything=not differences):
        console.print(part)
