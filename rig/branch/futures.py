# SPDX-License-Identifier: MIT
"""Run futures: save the branch point once, and restore it for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rig.branch.changes import Changes, FuturePlan, plan_future
from rig.branch.origin import Origin
from rig.branch.past import past_differs
from rig.branch.point import Point
from rig.experiment.cache_use import keep_bound
from rig.experiment.capacity import Capacity
from rig.experiment.departure import Departure
from rig.experiment.run import Job, run_job
from rig.machine.branch_point import BranchPoint, find_branch_point, key_of_point, save_branch_point
from rig.run.progress import NullProgress, Progress

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["Future", "Saved", "run_futures", "saved_point"]

DEADLINE = 300.0
"""Host seconds within which a guest must come to a branch point."""


@dataclass(frozen=True)
class Saved:
    """A point of an origin that is saved.

    past: how console and records until then differ from the origin's run; empty if they are the same to the byte.
    fresh: whether it was saved by this call, rather than found in the cache.
    """

    origin: Origin
    point: Point
    branch_point: BranchPoint
    past: str = ""
    fresh: bool = False


@dataclass(frozen=True)
class Future:
    """A future that was run."""

    changes: Changes
    run: Run
    directory: Path


async def saved_point(
    origin: Origin, point: Point, progress: Progress | None = None, *, timeout_scale: float = 1.0
) -> Saved:
    """Return the branch point, saved if the cache has none. A lock keeps two processes from saving it twice.

    Raises RigError when it cannot be saved.
    """
    store, guest = origin.store, origin.guest
    layers = tuple(layer.digest for layer in guest.spec.layers)
    key = key_of_point(origin.snapshot, origin.payload, layers, point.stop)
    found, fresh = await asyncio.to_thread(find_branch_point, store, key), False
    if found is None:
        async with store.lock_async(f"branch-{key[:16]}"):
            found = await asyncio.to_thread(find_branch_point, store, key)
            if found is None:
                (progress or NullProgress()).phase("save the branch point")
                with store.staging_directory() as work:
                    await asyncio.to_thread(origin.write_payload, work / "payload")
                    found, fresh = (
                        await save_branch_point(
                            store,
                            guest.spec,
                            guest.qemu,
                            origin.snapshot,
                            work / "payload",
                            point.stop,
                            key,
                            deadline=DEADLINE * timeout_scale,
                            scale=timeout_scale,
                        ),
                        True,
                    )
        if fresh:
            await asyncio.to_thread(keep_bound, store)
    return Saved(origin, replace(point, first=found.step), found, past_differs(origin.source, found), fresh)


async def run_futures(
    saved: Saved,
    futures: Sequence[Changes],
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
    record: bool = True,
    timeout_scale: float = 1.0,
    ended: Callable[[int, Future], None] = lambda number, future: None,
) -> list[Future]:
    """Run futures from a saved point, and return them in the order of their changes.

    jobs: guests at once; None for one a CPU.
    ended: called with the position of each future when it is over.
    Raises UsageError, before a guest is started, for a change that is not possible.
    """
    source = saved.origin.source
    plans = [plan_future(source, saved.point, changes) for changes in futures]
    capacity = Capacity(jobs)

    async def one(number: int) -> Future:
        async with capacity.room_for(source.settings.memory):
            future = await _run(saved, futures[number], plans[number], number, progress, record, timeout_scale)
        ended(number, future)
        return future

    tasks = [asyncio.ensure_future(one(number)) for number in range(len(futures))]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(
    saved: Saved,
    changes: Changes,
    plan: FuturePlan,
    number: int,
    progress: Progress | None,
    record: bool,
    timeout_scale: float,
) -> Future:
    from rig.run.document import Branch

    source, point = saved.origin.source, saved.branch_point
    branch = Branch(
        parent=source.run.id if source.run is not None else "",
        point=saved.point.text,
        key=point.key,
        step=point.step,
        time=point.time,
        changes=changes.texts,
        past=saved.past,
        number=number,
    )
    job = Job(
        source.scenario,
        plan.settings,
        plan.plan,
        layers=source.layers,
        departure=Departure(point, plan.continuation, branch, saved.origin.snapshot.key),
    )
    request = replace(source.request, record=record, timeout_scale=timeout_scale)
    run, directory = await run_job(job, request, progress or NullProgress(), saved.origin.store)
    return Future(changes, run, directory)
