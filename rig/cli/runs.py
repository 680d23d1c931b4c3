# SPDX-License-Identifier: MIT
"""`rig runs` and `rig compare`: the runs that are kept, removed, and two of them side by side."""

from __future__ import annotations

import time

import typer

from rig.cli.options import AsJson, ChosenRun, OtherRun, check_verdict, parse_option
from rig.cli.remove_runs import choose_runs, started_at
from rig.errors import UsageError
from rig.report.catalogue import runs_table
from rig.report.compare import comparison
from rig.report.console import output_console
from rig.report.list_documents import print_json, run_entry
from rig.report.tree import runs_tree
from rig.run.damage import warn_of_damage
from rig.run.directory import list_runs, read_run, remove_run, resolve_run, run_directories
from rig.units import parse_age

app = typer.Typer()
runs = typer.Typer(help="The runs that are kept.", invoke_without_command=True)
app.add_typer(runs, name="runs")


@runs.callback()
def show(
    context: typer.Context,
    last: int = typer.Option(None, min=1, metavar="N", help="Only the newest N."),
    scenario: str = typer.Option(None, metavar="NAME", help="Only runs of this scenario."),
    verdict: str = typer.Option(None, metavar="VERDICT", help="Only runs with this verdict."),
    since: str = typer.Option(None, metavar="AGE", help="Only runs younger than this, as in 1d, 12h or 30min."),
    tree: bool = typer.Option(False, "--tree", help="Each run with the futures that were branched off it."),
    as_json: AsJson = False,
) -> None:
    """List the runs that are kept, oldest first."""
    if context.invoked_subcommand is not None:
        return
    check_verdict(verdict, "--verdict")
    chosen = list_runs(last=None if scenario or verdict or since else last)
    if scenario is not None:
        chosen = [each for each in chosen if each.run is not None and each.run.scenario == scenario]
    if verdict is not None:
        chosen = [each for each in chosen if each.run is not None and each.run.verdict == verdict]
    if since is not None:
        oldest = time.time() - parse_option(parse_age, since, "--since")
        chosen = [each for each in chosen if started_at(each.directory) >= oldest]
    chosen = chosen if last is None else chosen[-last:]
    if as_json:
        print_json([run_entry(each) for each in chosen])
    else:
        console = output_console()
        if tree:
            console.print(runs_tree([each.run for each in chosen if each.run is not None]))
            return
        console.print(runs_table(chosen, width=console.width))


@runs.command("rm")
def remove(
    names: list[str] = typer.Argument(None, metavar="[RUN]...", help="Runs: ids, unique prefixes, or last."),
    older: str = typer.Option(None, metavar="AGE", help="Remove the runs older than this, as in 7d."),
    keep: int = typer.Option(None, min=0, metavar="N", help="Remove all runs but the newest N."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only list what would be removed."),
) -> None:
    """Remove runs, with their recordings. With --older and --keep, only runs that both choose."""
    if bool(names) == (older is not None or keep is not None):
        raise UsageError(
            "name the runs to remove, or choose them by --older or --keep", where="rig runs rm", remedy="rig runs"
        )
    if names:
        chosen = choose_runs(names)
    else:
        chosen = run_directories()
        chosen = chosen[: max(0, len(chosen) - keep)] if keep is not None else chosen
        if older is not None:
            newest = time.time() - parse_option(parse_age, older, "--older")
            chosen = [directory for directory in chosen if started_at(directory) < newest]
    for directory in chosen:
        if dry_run:
            print(directory.name)
        else:
            remove_run(directory)
    print(f"{'would be removed' if dry_run else 'removed'}: {len(chosen)}")


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
