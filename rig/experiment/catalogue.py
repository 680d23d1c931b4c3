# SPDX-License-Identifier: MIT
"""Run many scenarios, as many at once as there are CPUs; each distinct guest is booted once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.experiment.run import Request, run_scenario
from rig.image.store import Store
from rig.run.document import Run
from rig.run.progress import NullProgress

__all__ = ["Finished", "run_all"]


@dataclass(frozen=True)
class Finished:
    """A request that is over: a run and its folder, or the error that kept it from running."""

    request: Request
    run: Run | None = None
    folder: Path | None = None
    error: RigError | None = None

    @property
    def status(self) -> int:
        """The exit status that this one alone would give."""
        if self.run is not None:
            return self.run.exit_status
        return self.error.status if self.error is not None else 0


async def run_all(
    requests: Sequence[Request],
    *,
    jobs: int | None = None,
    store: Store | None = None,
    began: Callable[[Request], None] = lambda request: None,
    ended: Callable[[Finished], None] = lambda finished: None,
) -> list[Finished]:
    """Run the requests and return what became of each, in their order. One that breaks does not stop the others."""
    store = store or Store()
    free = asyncio.Semaphore(jobs or os.cpu_count() or 1)

    async def one(request: Request) -> Finished:
        async with free:
            began(request)
            try:
                run, folder = await run_scenario(request, NullProgress(), store)
                finished = Finished(request, run, folder)
            except RigError as error:
                finished = Finished(request, error=error)
            ended(finished)
            return finished

    return list(await asyncio.gather(*(one(request) for request in requests)))
