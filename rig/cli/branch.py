# SPDX-License-Identifier: MIT
"""`rig branch`: go to a moment of a run, and let it go on differently from there."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from rig.branch.changes import Changes, plan_future
from rig.branch.controls import same_futures
from rig.branch.futures import Future, Saved, run_futures, saved_point
from rig.branch.origin import prepare_origin, read_source
from rig.branch.point import find_point
from rig.cli.options import AsJson, ChosenRun, Jobs, Quiet, TimeoutScale
from rig.errors import UsageError
from rig.image.store import Store
from rig.report.branch import futures_table, print_controls, print_saved
from rig.report.console import output_console
from rig.report.list_documents import print_json
from rig.report.live import progress_for
from rig.run.directory import resolve_run

app = typer.Typer()


@app.command()
def branch(
    run: ChosenRun = "last",
    at: Annotated[
        str, typer.Option("--at", metavar="POINT", help="A branch point, mark or sample label of the plan.")
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
    control: Annotated[
        int, typer.Option(min=0, max=1000, metavar="N", help="N futures without a change: all the same to the byte.")
    ] = 0,
    jobs: Jobs = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record the futures.")] = False,
    timeout_scale: TimeoutScale = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run futures of a run: each begins at the same saved moment of it, and goes on with other settings.

    Exit status: the worst verdict of the futures, as for `rig run`; 1 when controls differ.
    """
    if not at:
        raise UsageError("name the point at which the futures begin", where="--at", remedy="as in --at writing-starts")
    changes = _changes([*(sets or []), *(sysctl or [])], runs or [], control)
    store = Store()
    source = read_source(resolve_run(run), store)
    point = find_point(source, at)
    for each in changes:
        plan_future(source, point, each)

    async def everything() -> tuple[Saved, list[Future]]:
        origin = await prepare_origin(
            source, store, progress, record=not no_record, timeout_scale=timeout_scale, tell=progress.phase
        )
        saved = await saved_point(origin, point, progress, timeout_scale=timeout_scale)
        progress.phase(f"{len(changes)} futures" if len(changes) > 1 else "the future")
        only = progress if len(changes) == 1 else None
        return saved, await run_futures(
            saved, changes, jobs=jobs, progress=only, record=not no_record, timeout_scale=timeout_scale
        )

    with progress_for(quiet=quiet or as_json) as progress:
        saved, futures = asyncio.run(everything())
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


def _changes(common: list[str], runs: list[str], control: int) -> list[Changes]:
    """Return the futures that the options ask for: each --run, or one of the --set alone; then the controls."""
    futures = [Changes((*common, *(part.strip() for part in text.split(",") if part.strip()))) for text in runs]
    if not futures and (common or not control):
        futures = [Changes(tuple(common))]
    return futures + [Changes()] * control
