# SPDX-License-Identifier: MIT
"""`rig branch`: go to a moment of a run, and let it go on differently from there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rig.branch.acts import parse_cgroup, parse_signal, parse_spawn, parse_write
from rig.branch.changes import Changes, plan_future
from rig.branch.controls import same_futures
from rig.branch.futures import Future, Saved, open_origin, run_futures, saved_point
from rig.branch.source import locate, read_past
from rig.cli import event_loop
from rig.cli.options import AsJson, ChosenRun, Jobs, Quiet, TimeoutScale
from rig.errors import RigError, UsageError
from rig.image.store import Store
from rig.report.branch import futures_table, print_controls, print_saved
from rig.report.console import output_console
from rig.report.list_documents import print_json
from rig.report.live import progress_for
from rig.report.tree import family, runs_tree
from rig.run.directory import list_runs, read_run, resolve_run
from rig.scenario.plan import RenderedStep

app = typer.Typer()


@app.command()
def branch(
    run: ChosenRun = "last",
    at: Annotated[
        str,
        typer.Option(
            "--at", metavar="POINT", help="A branch point, mark or sample label of the plan; or t=TIME, oom-1s."
        ),
    ] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="In every future: a sysctl, or a parameter of later steps."),
    ] = None,
    sysctl: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Short for --set with a sysctl.")
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option("--run", metavar="NAME=VALUE,…", help="One more future, with these settings of its own."),
    ] = None,
    signals: Annotated[
        list[str] | None, typer.Option("--signal", metavar="PROGRAM=SIG", help="Send a signal, as in hog=KILL.")
    ] = None,
    writes: Annotated[
        list[str] | None, typer.Option("--write", metavar="PATH=VALUE", help="Write to a file of proc or sys.")
    ] = None,
    cgroups: Annotated[
        list[str] | None,
        typer.Option("--cgroup", metavar="GROUP:KEY=VALUE", help="Set a cgroup's file, as in service:memory.max=100M."),
    ] = None,
    spawns: Annotated[
        list[str] | None,
        typer.Option("--spawn", metavar="ROLE=PROGRAM", help="Start a program of the scenario, as in 'hog2=hog 50M'."),
    ] = None,
    control: Annotated[
        int, typer.Option(min=0, max=1000, metavar="N", help="N futures without a change: all the same to the byte.")
    ] = 0,
    tree: Annotated[
        bool, typer.Option("--tree", help="Show the run with all that was branched off it, and stop.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --tree: one HTML file, with each future's timeline.")
    ] = None,
    jobs: Jobs = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record the futures.")] = False,
    timeout_scale: TimeoutScale = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run futures of a run: each begins at the same saved moment of it, and goes on with other settings.

    Exit status: the worst verdict of the futures, as for `rig run`; 1 when controls differ.
    """
    if tree:
        _show_tree(resolve_run(run), html)
        return
    if html is not None:
        raise UsageError("the page shows a tree", where="--html", remedy="add --tree")
    if not at:
        raise UsageError("name the point at which the futures begin", where="--at", remedy="as in --at writing-starts")
    store = Store()
    source, point = locate(read_past(resolve_run(run), store), at)
    acts = (
        *map(parse_write, writes or []),
        *map(parse_cgroup, cgroups or []),
        *(parse_spawn(text, source) for text in spawns or []),
        *(parse_signal(text, source, point) for text in signals or []),
    )
    changes = _changes([*(sets or []), *(sysctl or [])], runs or [], control, acts)
    for each in changes:
        plan_future(source, point, each)

    async def everything() -> tuple[Saved, list[Future]]:
        origin = await open_origin(
            source, store, progress, record=not no_record, timeout_scale=timeout_scale, tell=progress.phase
        )
        saved = await saved_point(origin, point, progress, timeout_scale=timeout_scale)
        progress.phase(f"{len(changes)} futures" if len(changes) > 1 else "the future")
        only = progress if len(changes) == 1 else None
        return saved, await run_futures(
            saved, changes, jobs=jobs, progress=only, record=not no_record, timeout_scale=timeout_scale
        )

    with progress_for(quiet=quiet or as_json) as progress:
        saved, futures = event_loop.run(everything())
    difference = same_futures([each for each in futures if not each.changes.texts])
    if as_json:
        print_json([each.run.model_dump(mode="json") for each in futures])
    else:
        console = output_console()
        if not quiet:
            print_saved(console, saved)
        console.print(futures_table(futures))
        if control:
            print_controls(console, control, difference)
    worst = max(each.run.exit_status for each in futures)
    raise typer.Exit(max(worst, 1) if difference else worst)


def _show_tree(directory: Path, html: Path | None) -> None:
    """Print the tree that a run belongs to, or write its page."""
    runs = family(list_runs(directory.parent), read_run(directory).id)
    if html is None:
        output_console().print(runs_tree(runs))
        return
    from rig.report.html.links import link_reports
    from rig.report.html.tree_page import MOST_RUNS, tree_report

    link = link_reports((run.id for run in runs[:MOST_RUNS]), html.parent, runs_of=directory.parent)
    try:
        html.write_text(tree_report(runs, directory.parent, link), encoding="utf-8", errors="replace")
    except OSError as error:
        raise RigError(
            f"the page cannot be written: {error.strerror}", where=html, remedy="name another file"
        ) from error
    print(html)


def _changes(common: list[str], runs: list[str], control: int, acts: tuple[RenderedStep, ...]) -> list[Changes]:
    """Return the futures that the options ask for: each --run, or one without; then the controls."""
    futures = [Changes((*common, *(part.strip() for part in text.split(",") if part.strip())), acts) for text in runs]
    if not futures and (common or acts or not control):
        futures = [Changes(tuple(common), acts)]
    return futures + [Changes()] * control
