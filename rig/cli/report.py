# SPDX-License-Identifier: MIT
"""`rig report`, `rig plot` and `rig watch`: a run to look at, as a page, as a picture, and as it goes."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import typer

from rig.cli.options import ChosenRun
from rig.errors import RigError, UsageError
from rig.report.console import output_console
from rig.report.follow import follow, replay
from rig.report.html.frontier_page import frontier_report
from rig.report.html.links import link_reports
from rig.report.html.page import report as render_run
from rig.report.html.source import read_source
from rig.report.html.sweep_page import sweep_report
from rig.report.live import progress_for
from rig.report.plots.figure import plot as draw
from rig.report.terminal import print_run
from rig.run.damage import warn_of_damage
from rig.run.directory import read_run, resolve_run, runs_directory
from rig.run.unfinished import UNFINISHED
from rig.sweep.directory import FRONTIER, find_sweep
from rig.sweep.frontier.document import read_frontier
from rig.sweep.missing_rows import warn_of_missing_rows
from rig.whole_file import write_whole

app = typer.Typer()


@app.command()
def report(
    run: str = typer.Argument(
        "last",
        metavar="RUN|SWEEP",
        help="A run, a sweep or a frontier: path, id, unique prefix; or last, the last run.",
    ),
    output: Path = typer.Option(
        None, "-o", "--output", metavar="FILE", help="The file to write; default: report.html in the run's directory."
    ),
    open_it: bool = typer.Option(False, "--open", help="Open it in the browser."),
) -> None:
    """Write a run, a sweep or a frontier as one HTML file that needs no network, and print its path."""
    directory, text = _rendered(run)
    path = directory / "report.html" if output is None else output
    try:
        if output is None:
            write_whole(path, text.encode(errors="replace"))
        else:
            # It may be a pipe or a device, which must not be replaced.
            path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RigError(
            f"the report cannot be written: {error.strerror}", where=path, remedy="name another file with -o"
        ) from error
    print(path)
    if open_it:
        webbrowser.open(path.resolve().as_uri())


def _rendered(run: str) -> tuple[Path, str]:
    """Return the directory of a run, a sweep or a frontier, and its page. Raises UsageError where there is none."""
    try:
        directory = resolve_run(run)
    except UsageError as no_run:
        found = _sweep(run)
        if found is None:
            raise no_run from None
        return found
    return directory, render_run(read_source(directory))


def _sweep(name: str) -> tuple[Path, str] | None:
    try:
        sweep = find_sweep(name)
    except UsageError:
        return None
    plan, rows = sweep.plan, sweep.rows()
    warn_of_missing_rows(sweep, len(rows))
    link = link_reports([row.run for row in rows], sweep.path, runs_of=runs_directory())
    if (sweep.path / FRONTIER).is_file():
        return sweep.path, frontier_report(read_frontier(sweep.path), sweep.id, rows, link)
    axes = [(axis.name, axis.values) for axis in plan.axes]
    return sweep.path, sweep_report(plan.scenario, sweep.id, axes, dict(plan.fixed), rows, link)


@app.command()
def plot(
    run: ChosenRun,
    picture: str = typer.Argument(help="timeline, pages, zones, badness or trace."),
    output: Path = typer.Option(None, "-o", "--output", metavar="FILE", help="x.svg or x.png; default: PICTURE.svg."),
) -> None:
    """Draw one picture of a run, for papers and slides. Needs oomrig[plot]."""
    path = Path(f"{picture}.svg") if output is None else output
    draw(read_source(resolve_run(run)), picture, path)
    print(path)


@app.command()
def watch(
    run: str = typer.Argument("last", help="A run in progress (id, prefix, or last); with --replay a finished one."),
    again: bool = typer.Option(False, "--replay", help="Play back a finished run."),
    seconds: float = typer.Option(10.0, min=0, max=3600, help="With --replay: how long the playback takes."),
) -> None:
    """Show a run in progress from a second terminal, or play back a finished one."""
    console = output_console()
    if again:
        directory = resolve_run(run)
        if not (directory / "events.jsonl").is_file():
            raise UsageError("this run has no events.jsonl", where=directory, remedy="'rig runs' lists the runs")
        warn_of_damage(read_run(directory), directory)
        with progress_for(console) as progress:
            replay(directory / "events.jsonl", progress, seconds)
    else:
        unfinished = _running(run)
        directory = unfinished.parent / unfinished.name.removeprefix(UNFINISHED)
        with progress_for(console) as progress:
            if not follow(unfinished, directory, progress):
                raise RigError("the run was aborted", where=directory.name, remedy="look at what `rig run` printed")
    print_run(console, read_run(directory), directory)


def _running(run: str) -> Path:
    """Return the directory of a run in progress (`last`: the newest). Raises UsageError where it is not one run."""
    going = sorted(runs_directory().glob(f"{UNFINISHED}*"))
    if run != "last":
        going = [directory for directory in going if directory.name.removeprefix(UNFINISHED).startswith(run)]
    if not going:
        raise UsageError("no such run is in progress", where=run, remedy="for a finished run: rig watch RUN --replay")
    if run != "last" and len(going) > 1:
        raise UsageError(f"'{run}' matches {len(going)} runs in progress", remedy="write more of the id")
    return going[-1]
