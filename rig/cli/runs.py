# SPDX-License-Identifier: MIT
"""`rig runs` and `rig compare`: the runs that are kept, and two of them side by side."""

from __future__ import annotations

import typer

from rig.cli.options import AsJson, ChosenRun, OtherRun, check_verdict
from rig.report.catalogue import runs_table
from rig.report.compare import comparison
from rig.report.console import output_console
from rig.report.list_documents import print_json, run_entry
from rig.run.damage import warn_of_damage
from rig.run.directory import list_runs, read_run, resolve_run

app = typer.Typer()


@app.command()
def runs(
    last: int = typer.Option(None, min=1, metavar="N", help="Only the newest N."),
    scenario: str = typer.Option(None, metavar="NAME", help="Only runs of this scenario."),
    verdict: str = typer.Option(None, metavar="VERDICT", help="Only runs with this verdict."),
    as_json: AsJson = False,
) -> None:
    """List the runs that are kept, oldest first."""
    check_verdict(verdict, "--verdict")
    chosen = list_runs(last=None if scenario or verdict else last)
    if scenario is not None:
        chosen = [each for each in chosen if each.run is not None and each.run.scenario == scenario]
    if verdict is not None:
        chosen = [each for each in chosen if each.run is not None and each.run.verdict == verdict]
    chosen = chosen if last is None else chosen[-last:]
    if as_json:
        print_json([run_entry(each) for each in chosen])
    else:
        console = output_console()
        console.print(runs_table(chosen, width=console.width))


@app.command()
def compare(
    left: ChosenRun,
    right: OtherRun,
    differences: bool = typer.Option(False, "--differences", help="Only what differs."),
) -> None:
    """Show two runs side by side: parameters, claims and numbers, differences marked."""
    console = output_console()
    found = []
    for name in (left, right):
        directory = resolve_run(name)
        found.append(read_run(directory))
        warn_of_damage(found[-1], directory)
    for part in comparison(found[0], found[1], everything=not differences):
        console.print(part)
