# SPDX-License-Identifier: MIT
"""`rig list`, `rig show`, `rig new`: the catalogue, a scenario's story, and a scenario of one's own."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from rig.report.catalogue import scenario_page, scenarios_table
from rig.scenario.load import list_scenarios, load_scenario
from rig.scenario.new import new_scenario

app = typer.Typer()


@app.command("list")
def list_() -> None:
    """List the scenarios that travel with rig."""

    Console().print(scenarios_table(list_scenarios()))


@app.command()
def show(scenario: str = typer.Argument(help="A name or a folder.")) -> None:
    """Show a scenario's story, its parameters and its claims."""
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
