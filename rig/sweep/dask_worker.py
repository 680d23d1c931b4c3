# SPDX-License-Identifier: MIT
"""Run the tasks of a sweep on a worker of dask.distributed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rig.branch.sharing import Pasts, SharedPast, past_at
from rig.errors import RigError
from rig.image.store import Store
from rig.scenario.load import load_scenario
from rig.sweep.row import Row
from rig.sweep.task import PointTask, pack_run, rig_version, run_point

__all__ = ["PastOf", "run_on_worker", "worker_version"]

LOOK_AGAIN = 0.2
"""Host seconds after which a worker looks again whether its run is still wanted."""


class PastOf(NamedTuple):
    """A past that tasks of a sweep have in common, as a worker is told of it. sets, point: as past_at() takes them."""

    sweep: str
    sets: tuple[str, ...]
    point: str


@dataclass
class _Kept:
    """What a worker's process keeps of a sweep from one task to the next: opening a past takes a tenth of a second.

    shared: of `pasts`, to which each task adds its own.
    """

    sweep: str
    pasts: Pasts
    shared: dict[tuple[int, int], SharedPast]
    opened: dict[PastOf, asyncio.Future[SharedPast]] = field(default_factory=dict)


_kept: _Kept | None = None


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the event loop in which a worker's process runs its tasks. What is kept is used in it only."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="guests", daemon=True).start()
    return loop


def worker_version() -> str:
    """Return the version of rig on the worker that runs this function."""
    return rig_version()


def run_on_worker(task: PointTask, past: PastOf | None = None) -> tuple[Row, bytes | None]:
    """Run a task on a worker; return the row and the packed directory of the run, None if it did not start.

    past: a past that the task has in common with others.
    Kernel, image and saved pasts come from the worker's own cache, which makes each once. The run ends early where its
    sweep was interrupted, or another worker was quicker.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        known = worker.state.tasks.get(key)
        return known is not None and known.state != "cancelled"

    work = _while_wanted(_run(task, past, str(worker.address)), is_wanted)
    row, directory = asyncio.run_coroutine_threadsafe(work, _loop()).result()
    return row, None if directory is None else pack_run(directory)


async def _while_wanted(
    work: Coroutine[Any, Any, tuple[Row, Path | None]], is_wanted: Callable[[], bool]
) -> tuple[Row, Path | None]:
    running = asyncio.ensure_future(work)
    while is_wanted():
        done, _ = await asyncio.wait({running}, timeout=LOOK_AGAIN)
        if done:
            break
    else:
        running.cancel()
    return await running


async def _run(task: PointTask, past: PastOf | None, worker: str) -> tuple[Row, Path | None]:
    return await run_point(task, worker=worker, pasts=None if past is None else await _pasts_with(task, past))


async def _pasts_with(task: PointTask, past: PastOf) -> Pasts | None:
    """Return the pasts of the task's sweep, this task's among them; None where it cannot be had: the run says why."""
    global _kept
    if _kept is None or _kept.sweep != past.sweep:
        # Another sweep may be of another state of the scenario's files.
        shared: dict[tuple[int, int], SharedPast] = {}
        _kept = _Kept(past.sweep, Pasts(Store(), shared, task.record, task.timeout_scale), shared)
    kept = _kept
    if past not in kept.opened:
        kept.opened[past] = asyncio.ensure_future(asyncio.to_thread(_open, task.scenario, past))
    try:
        kept.shared[task.key] = await asyncio.shield(kept.opened[past])
    except RigError:
        return None
    return kept.pasts


def _open(scenario: str, past: PastOf) -> SharedPast:
    return past_at(Store(), load_scenario(scenario), past.sets, past.point)
