# SPDX-License-Identifier: MIT
"""`rig shell`: a shell in a live guest."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import typer

from rig.cli.options import TimeoutScale
from rig.experiment.run import Request, check_request
from rig.experiment.shell import shell as open_shell
from rig.report.live import progress_for
from rig.scenario.settings import guest_settings

app = typer.Typer()


@app.command()
def shell(
    sets: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="memory, cpus, kernel, image, accel."),
    memory: str = typer.Option(None, help="The guest's memory, as in 384M."),
    kernel: str = typer.Option(None, help="debian:SUITE, source:SUITE, tree:DIR, or a path."),
    accel: str = typer.Option(None, help="auto, kvm or tcg."),
    timeout_scale: TimeoutScale = 1.0,
) -> None:
    """Open a shell in a live guest. Ctrl-] leaves it and ends the guest."""
    named = {"memory": memory, "kernel": kernel, "accel": accel}
    given = [*sets, *(f"{name}={value}" for name, value in named.items() if value is not None)]
    settings = guest_settings([*given, "clock=live"])
    with progress_for() as progress:
        asyncio.run(open_shell(settings, progress, timeout_scale=timeout_scale))


def open_shell_like(request: Request) -> None:
    """Open a shell in a live guest like that of a failed run, which is gone: its programs can be tried by hand."""
    settings, plan = check_request(request)
    with progress_for() as progress:
        asyncio.run(
            open_shell(replace(settings, clock="live"), progress, plan=plan, timeout_scale=request.timeout_scale)
        )
