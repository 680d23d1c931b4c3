# SPDX-License-Identifier: MIT
"""`rig shell`: a live guest for a person."""

from __future__ import annotations

import typer

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def shell(
    sets: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="memory, cpus, kernel, image, accel."),
    memory: str = typer.Option(None, help="The guest's memory, as in 384M."),
    kernel: str = typer.Option(None, help="debian:SUITE, source:SUITE, tree:DIR, or a path."),
    accel: str = typer.Option(None, help="auto, kvm or tcg."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline."),
) -> None:
    """Open a shell in a live guest; leave with Ctrl-], and the guest is gone."""
    import asyncio

    from rig.experiment.shell import shell as open_shell
    from rig.report.live import progress_for
    from rig.scenario.settings import guest_settings

    named = {"memory": memory, "kernel": kernel, "accel": accel}
    given = [*sets, *(f"{name}={value}" for name, value in named.items() if value is not None)]
    settings = guest_settings([*given, "clock=live"])
    with progress_for() as progress:
        asyncio.run(open_shell(settings, progress, timeout_scale=timeout_scale))
