# SPDX-License-Identifier: MIT
"""`rig list`, `rig show`, `rig new`: the catalogue, a scenario's story, and a scenario of one's own."""

from __future__ import annotations

from pathlib import Path

import typer

from rig.cli.help import print_topic
from rig.cli.options import AsJson
from rig.errors import UsageError
from rig.report.catalogue import scenario_page, scenarios_table
from rig.report.console import output_console
from rig.report.list_documents import print_json, scenario_document, scenario_entry
from rig.scenario.load import list_scenarios, load_scenario
from rig.scenario.new import check_name, new_scenario, write_directory

app = typer.Typer()


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the scenarios that come with rig."""
    if as_json:
        print_json([scenario_entry(directory) for directory in list_scenarios()])
        return
    output_console().print(scenarios_table(list_scenarios()))


@app.command()
def show(
    scenario: str = typer.Argument(None, metavar="SCENARIO", help="A name (see `rig list`) or a directory."),
    language: bool = typer.Option(False, "--language", help="Print the language of claims: its names and functions."),
    as_json: AsJson = False,
) -> None:
    """Show a scenario's story, its parameters and its claims."""
    if language == (scenario is not None):
        raise UsageError("name one scenario, or --language", where="rig show", remedy="see `rig list`")
    if language:
        print_topic("claims")
        return
    if as_json:
        print_json(scenario_document(load_scenario(scenario)))
        return
    console = output_console()
    for part in scenario_page(load_scenario(scenario)):
        console.print(part, crop=False)


@app.command()
def new(
    name: str = typer.Argument(help="The new directory's name."),
    from_log: str = typer.Option(
        None, "--from-log", metavar="FILE|RUN", help="Make it from an OOM report in this kernel log."
    ),
    event: int = typer.Option(None, "--event", min=1, metavar="N", help="With --from-log: this event of the log."),
) -> None:
    """Make a directory with a scenario of your own. It runs as it is.

    With --from-log it plays an OOM report; `rig reproduce` runs the same scenario and compares.
    """
    if event is not None and from_log is None:
        raise UsageError("it chooses a report of --from-log", where="--event", remedy="leave it out")
    directory = new_scenario(name, Path.cwd()) if from_log is None else _from_log(name, from_log, event)
    print(f"made {directory.relative_to(Path.cwd())}\n  try: rig run ./{name}")


def _from_log(name: str, source: str, number: int | None) -> Path:
    from rig.cli.logfile import read_log
    from rig.cli.reproduce import say_which
    from rig.reproduce.fingerprint import fingerprint_of
    from rig.reproduce.reproduce import choose_report
    from rig.reproduce.scaling import replica_of
    from rig.reproduce.scenario_text import scenario_files

    check_name(name)
    event, count = choose_report(read_log(source).events, number, source)
    say_which(event, count)
    return write_directory(
        Path.cwd() / name, scenario_files(name, replica_of(fingerprint_of(event)), Path(source).name)
    )
