# SPDX-License-Identifier: MIT
"""Keep a live guest whose root filesystem has a program's packages, image and files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import takewhile

from rig.experiment.shell import shell
from rig.image.store import Store
from rig.machine.live_guest import LiveGuest
from rig.program.execute import program_job
from rig.program.plan import ROOT, STARTED
from rig.program.request import ProgramRequest
from rig.run.progress import Progress

__all__ = ["program_shell"]

ROOT_IN_GUEST = f"/run/rig/roots/{ROOT}"
"""Where the agent mounts the root (ROOTS of guest/agent/surroundings.c)."""


async def program_shell(
    request: ProgramRequest,
    progress: Progress,
    *,
    wait: bool = False,
    told: Callable[[LiveGuest], None] = lambda guest: None,
) -> None:
    """Open a shell in a live guest, in the root filesystem that a program of this request would have.

    wait: open no shell, and keep the guest until this task is cancelled.
    told: called with the guest once its SSH server is up.
    Raises UsageError for an invalid request, GuestError when the guest does not come up.
    """
    store = Store()
    # The root is that of a program, so it is made by the steps that come before a program's start.
    job, _ = program_job(store, replace(request, command=("sh",)), progress.phase)
    steps = tuple(takewhile(lambda step: step.id != STARTED, job.plan.steps))
    await shell(
        replace(job.settings, clock="live"),
        progress,
        plan=replace(job.plan, steps=tuple(step for step in steps if step.verb != "sample")),
        extra=job.extra,
        layers=job.layers,
        root=ROOT_IN_GUEST,
        wait=wait,
        timeout_scale=request.timeout_scale,
        store=store,
        told=told,
    )
