# SPDX-License-Identifier: MIT
"""Run many scenarios, one a CPU in parallel; runs with the same guest share the snapshot of one boot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.experiment.request import Request
from rig.finishing import gathered
from rig.image.store import Store
from rig.run.document import Run
from rig.run.progress import NullProgress, Progress

__all__ = ["Finished", "run_all"]


Runner = Callable[[Request, Progress, Store], Awaitable[tuple[Run, Path]]]
"""Runs a request, as run_scenario() does."""


@dataclass(frozen=True)
class Finished:
    """A finished request: its run and the run's directory, or the error that prevented the run."""

    request: Request
    run: Run | None = None
    directory: Path | None = None
    error: RigError | None = None

    @property
    def status(self) -> int:
        """Exit status that the command line gives for this request alone."""
        if self.run is not None:
            return self.run.exit_status
        return self.error.status if self.error is not None else 0


async def run_all(
    requests: Sequence[Request],
    run: Runner,
    *,
    jobs: int | None = None,
    store: Store | None = None,
    began: Callable[[Request], None] = lambda request: None,
    ended: Callable[[Finished], None] = lambda finished: None,
) -> list[Finished]:
    """Run the requests and return their results in the order of `requests`.

    run: runs one of them.
    jobs: number of runs in parallel; None for one a CPU.
    began, ended: called when a run starts and when it has ended.
    A request that fails with a RigError does not stop the others.
    """
    store = store or Store()
    free = asyncio.Semaphore(jobs or os.cpu_count() or 1)

    async def one(request: Request) -> Finished:
        async with free:
            began(request)
            try:
                finished = Finished(request, *await run(request, NullProgress(), store))
            except RigError as error:
                finished = Finished(request, error=error)
            ended(finished)
            return finished

    return await gathered(one(request) for request in requests)
