# SPDX-License-Identifier: MIT
"""`rig cure`: what would have prevented a failure, tried."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rig.cli import event_loop
from rig.cli.logfile import read_log
from rig.cli.options import AsJson, Jobs, Quiet, TimeoutScale, parse_budget
from rig.cli.outputs import write_output
from rig.cli.prefetch import prefetch
from rig.cli.stdout import check_outputs
from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.cure.cure import Cure
    from rig.cure.trial import Patient
    from rig.run.progress import Progress

__all__ = ["app"]

app = typer.Typer()


@app.command()
def cure(
    source: Annotated[
        str, typer.Argument(metavar="RUN|SCENARIO|LOG", help="What failed: a run, a scenario, or a kernel log.")
    ],
    tries: Annotated[
        list[str], typer.Option("--try", metavar="NAME", help="Only this remedy; may be given several times.")
    ] = [],  # noqa: B006 # Typer copies it
    also: Annotated[list[str], typer.Option(metavar="NAME=VALUE", help="An idea of your own.")] = [],  # noqa: B006 # as above
    sets: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the failure, as in rig run.")
    ] = [],  # noqa: B006 # as above
    budget: Annotated[str, typer.Option(metavar="TIME", help="Start no run that would end after this time.")] = "60s",
    event: Annotated[int | None, typer.Option(min=1, metavar="N", help="Of a log: this event.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one HTML file, with each run's timeline.")
    ] = None,
    jobs: Jobs = None,
    timeout_scale: TimeoutScale = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a failure again with each remedy that fits it, and say what each did and what it cost.

    For each remedy the strongest dose is tried first, then the smallest one that does the same, at three timings.
    A log is reproduced first (see rig reproduce).

    Exit status: 0 when a remedy prevented or delayed the failure, had a call refused in its place, or let another
    process be killed; 1 when none did, 3 error, 64 usage error.
    """
    check_outputs(("--json", as_json), ("-q", quiet))
    seconds = parse_budget(budget)
    prefetch()
    from rig.cure.cure import cure as try_all
    from rig.report.cure import cure_document, print_cure
    from rig.report.live import progress_for

    with progress_for(quiet=quiet or as_json) as progress:
        patient = _patient(source, tuple(sets), event, timeout_scale, progress)
        found = event_loop.run(
            try_all(patient, progress, only=tuple(tries), also=tuple(also), budget=seconds, jobs=jobs)
        )
    if html is not None:
        _write_page(html, found)
    if as_json:
        print(cure_document(found))
    elif quiet:
        best = found.results[0] if found.results else None
        print(f"{best.outcome.kind}: {best.works.dose.text}" if best is not None else "no remedy fits")
    else:
        from rig.report.console import output_console

        print_cure(output_console(highlight=False), found)
    raise typer.Exit(0 if found.cured else 1)


def _write_page(path: Path, found: Cure) -> None:
    from rig.report.html.cure_page import cure_report
    from rig.report.html.links import link_reports
    from rig.run.directory import runs_directory

    tried = (found.control, *(result.works for result in found.results))
    link = link_reports((each.run for each in tried), path.parent, runs_of=runs_directory())
    write_output(str(path), cure_report(found, link), "--html")


def _patient(
    source: str, sets: tuple[str, ...], event: int | None, timeout_scale: float, progress: Progress
) -> Patient:
    """Return what is to be cured: a scenario, the scenario of a run, or the one that a log's report makes."""
    from rig.branch.kept_scenario import kept_scenario
    from rig.cure.trial import Patient
    from rig.run.directory import read_held_run, resolve_run
    from rig.scenario.load import list_scenarios, load_scenario

    path = Path(source)
    if source in {each.name for each in list_scenarios()} or (path / "scenario.toml").is_file():
        return Patient(source, load_scenario(source), sets, timeout_scale)
    if path.is_file() or source == "-":
        return _of_log(source, sets, event, timeout_scale, progress)
    try:
        directory = resolve_run(source)
        run = read_held_run(directory)
    except UsageError as error:
        raise UsageError(
            "there is no such run, scenario or file",
            where=source,
            remedy="'rig runs' and 'rig list' show what there is",
        ) from error
    if run.program is not None:
        raise UsageError("a run of 'rig exec' has no scenario", where=source, remedy="rig new NAME makes one")
    where = kept_scenario(run, directory)
    given = tuple(f"{name}={value}" for name, value in run.settings.items())
    return Patient(where, load_scenario(where), (*given, *sets), timeout_scale)


def _of_log(source: str, sets: tuple[str, ...], event: int | None, timeout_scale: float, progress: Progress) -> Patient:
    from rig.cli.reproduce import say_which
    from rig.cure.trial import Patient
    from rig.reproduce.reproduce import choose_report, reproduce
    from rig.scenario.load import load_scenario

    chosen, count = choose_report(read_log(source).events, event, source)
    say_which(chosen, count)
    made = event_loop.run(reproduce(chosen, Path(source).name, progress, timeout_scale=timeout_scale))
    if made.status == 3:
        raise RigError(f"the report cannot be reproduced: {made.run.reason}", where=source)
    differs = [each.field for each in made.compared if each.outcome == "differs"]
    if differs:
        progress.line(f"the replica differs from the report in: {', '.join(differs)}")
    return Patient(str(made.scenario), load_scenario(str(made.scenario)), sets, timeout_scale)
