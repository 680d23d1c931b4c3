# SPDX-License-Identifier: MIT
"""`rig list`, `rig show`, `rig new`: the catalogue, a scenario's story, and a scenario of one's own."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from rig.cli.help import print_topic
from rig.errors import UsageError
from rig.report.catalogue import scenario_page, scenarios_table
from rig.scenario.load import list_scenarios, load_scenario
from rig.scenario.new import new_scenario

app = typer.Typer()


@app.command("list")
def list_() -> None:
    """List the scenarios that travel with rig."""

    Console().print(scenarios_table(list_scenarios()))


@app.command()
def show(
    scenario: str = typer.Argument(None, metavar="SCENARIO", help="A name (see `rig list`) or a directory."),
    language: bool = typer.Option(False, "--language", help="Print the language of claims: its names and functions."),
) -> None:
    """Show a scenario's story, its parameters and its claims."""
    if language == (scenario is not None):
        raise UsageError("name one scenario, or --language", where="rig show", remedy="see `rig list`")
    if language:
        print_topic("claims")
        return
    console = Console()
    for part in scenario_page(load_scenario(scenario)):
        console.print(part)


@app.command()
def new(
    name: str = typer.Argument(help="The new folder's name."),
    from_log: Path = typer.Option(None, help="Take the sizes of the OOM report in this kernel log."),
) -> None:
    """Make a scenario folder of your own, which runs as it is."""
    folder = new_scenario(name, Path.cwd(), from_log=from_log)
    print(f"made {folder.relative_to(Path.cwd())}\n  try: rig run ./{name}")
