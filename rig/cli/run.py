# SPDX-License-Identifier: MIT
"""`rig run`: run a scenario and judge its claims."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread
from typing import Annotated

import typer

from rig.cli.options import GuestOptions, Junit, Ktap, TimeoutScale, flatten_options
from rig.errors import RigError

__all__ = ["OutputOptions", "RunOptions", "app", "prefetch"]

app = typer.Typer()


@dataclass(frozen=True)
class RunOptions:
    """How a scenario is run, how often, and what is done with the verdict."""

    repeat: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Run it N times; the worst verdict counts.")
    ] = 1
    expect: Annotated[str | None, typer.Option(metavar="VERDICT", help="The verdict that makes the exit status 0.")] = (
        None
    )
    bisect: Annotated[
        bool, typer.Option("--bisect", help="For git bisect run: exit 0 or 1; 125 where neither is known.")
    ] = False
    good: Annotated[
        str | None, typer.Option(metavar="VERDICT", help="With --bisect: reproduced or not-reproduced is good.")
    ] = None
    to_the_end: Annotated[bool, typer.Option("--to-the-end", help="Run on after the claims are decided.")] = False
    shell_on_failure: Annotated[
        bool,
        typer.Option(
            "--shell-on-failure",
            help="When the verdict is not the expected one: a shell in a live guest like it, with its programs.",
        ),
    ] = False
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record a warp run.")] = False
    no_dump: Annotated[bool, typer.Option("--no-dump", help="Do not keep the memory of a guest that panics.")] = False
    append: Annotated[list[str], typer.Option(metavar="WORDS", help="Words for the kernel's command line.")] = field(
        default_factory=list
    )
    qemu_arg: Annotated[list[str], typer.Option(metavar="WORD", help="A word for QEMU's command line.")] = field(
        default_factory=list
    )
    timeout_scale: TimeoutScale = 1.0


@dataclass(frozen=True)
class OutputOptions:
    """What is printed, and what is written beside it."""

    as_json: Annotated[bool, typer.Option("--json", help="Print run.json.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the verdict.")] = False
    print_qemu: Annotated[bool, typer.Option("--print-qemu", help="Print QEMU's command line and stop.")] = False
    junit: Junit = None
    ktap: Ktap = None
    # Read by rig.cli.app, which prints every command's errors.
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in rig an error came from.")] = False


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


def prefetch() -> None:
    """Begin what takes time in other processes: ask QEMU for its version, take the digests of what was used last."""
    from rig.image.prefetch import look_ahead
    from rig.image.store import Store
    from rig.machine.qemu import find_qemu

    def find() -> None:
        # An error is raised again where the result is needed.
        with suppress(RigError):
            find_qemu()

    Thread(target=find, name="find-qemu", daemon=True).start()
    look_ahead(Store())
