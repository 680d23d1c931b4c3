# SPDX-License-Identifier: MIT
"""`rig run`: run a scenario and judge its claims."""

from __future__ import annotations

from typing import Annotated

import typer

from rig.cli.options import GuestOptions, flatten_options
from rig.cli.prefetch import prefetch
from rig.cli.run_options import OutputOptions, RunOptions

__all__ = ["app"]

app = typer.Typer()


@app.command()
@flatten_options
def run(
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="A name (see `rig list`) or a directory.")
    ] = None,
    whole_catalogue: Annotated[
        bool, typer.Option("--all", help="The whole catalogue, as many guests at once as there are CPUs.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, metavar="N", help="With --all: guests at once.")] = None,
    *,
    guest: GuestOptions,
    how: RunOptions,
    output: OutputOptions,
) -> None:
    """Run a scenario in a guest, capture what the kernel does, and judge the scenario's claims.

    Exit status: 0 reproduced, 1 not-reproduced, 2 invalid, 3 error, 64 usage error. With --bisect: 0 good, 1 bad, 125
    for a commit that cannot be tested, and 128, which ends the bisection, for a usage error.
    """
    prefetch()
    # Not imported above: QEMU's version and the images' digests are found out while Python reads these modules.
    from rig.cli.execute_run import execute

    raise typer.Exit(execute(scenario, guest, how, output, whole_catalogue=whole_catalogue, jobs=jobs))
