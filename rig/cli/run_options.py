# SPDX-License-Identifier: MIT
"""The options of `rig run` that are its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from rig.cli.options import Fast, Junit, Ktap, Maps, TimeoutScale, VirtioConsole

__all__ = ["OutputOptions", "RunOptions"]


@dataclass(frozen=True)
class RunOptions:
    """How a scenario is run, how often, and what is done with the verdict."""

    repeat: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Run the scenario N times; the worst verdict counts.")
    ] = 1
    expect: Annotated[str | None, typer.Option(metavar="VERDICT", help="The verdict that makes the exit status 0.")] = (
        None
    )
    bisect: Annotated[
        bool, typer.Option("--bisect", help="For git bisect run: exit 0 or 1, or 125 if the run cannot tell.")
    ] = False
    good: Annotated[
        str | None,
        typer.Option(metavar="VERDICT", help="With --bisect: which verdict is good, reproduced or not-reproduced."),
    ] = None
    to_the_end: Annotated[bool, typer.Option("--to-the-end", help="Continue after all claims are decided.")] = False
    shell_on_failure: Annotated[
        bool,
        typer.Option(
            "--shell-on-failure",
            help="On an unexpected verdict, open a shell in a live guest with the same settings and programs.",
        ),
    ] = False
    fast: Fast = False
    maps: Maps = False
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record a warp run.")] = False
    no_prefix: Annotated[
        bool,
        typer.Option("--no-prefix", help="Run the whole plan, also where the cache has a saved point of it."),
    ] = False
    no_dump: Annotated[bool, typer.Option("--no-dump", help="Do not keep the memory of a guest that panics.")] = False
    append: Annotated[list[str], typer.Option(metavar="WORDS", help="Append to the kernel's command line.")] = field(
        default_factory=list
    )
    qemu_arg: Annotated[list[str], typer.Option(metavar="WORD", help="Append an argument to QEMU's command line.")] = (
        field(default_factory=list)
    )
    virtio_console: VirtioConsole = False
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
