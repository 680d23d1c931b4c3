# SPDX-License-Identifier: MIT
"""Run futures: save the branch point once, and restore it for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rig.branch.changes import Changes, FuturePlan, plan_future
from rig.branch.origin import Origin, Source, prepare_origin
from rig.branch.past import past_differs
from rig.branch.point import Point
from rig.branch.prefix_key import note_of_prefix, prefix_keys
from rig.experiment.cache_use import keep_bound
from rig.experiment.capacity import Capacity
from rig.experiment.departure import Departure
from rig.experiment.prepare import payload_of
from rig.experiment.request import Job
from rig.experiment.run import run_job
from rig.finishing import finish_in_thread, gathered
from rig.image.store import Store
from rig.machine.branch_point import BranchPoint, find_branch_point, key_of_point, save_branch_point
from rig.machine.saving import saving_deadline
from rig.run.progress import NullProgress, Progress

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["Future", "Saved", "open_origin", "run_future", "run_futures", "saved_point"]

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


async def open_origin(
    source: Source,
    store: Store,
    progress: Progress | None = None,
    *,
    record: bool = True,
    timeout_scale: float = 1.0,
    tell: Callable[[str], None] = lambda text: None,
) -> Origin:
    """Return the source with its guest; for a source that is a future, with the branch point that it began at.

    Raises RigError when they cannot be made, or are not those that the source's run had.
    """
    if source.root is None:
        return await prepare_origin(source, store, progress, record=record, timeout_scale=timeout_scale, tell=tell)
    root = source.root
    before = await open_origin(root.source, store, progress, record=record, timeout_scale=timeout_scale, tell=tell)
    saved = await saved_point(before, root.point, progress, timeout_scale=timeout_scale)
    return replace(before, source=source, snapshot=saved.branch_point)


async def saved_point(
    origin: Origin, point: Point, progress: Progress | None = None, *, timeout_scale: float = 1.0
) -> Saved:
    """Return the branch point, saved if the cache has none. A lock keeps two processes from saving it twice.

    Raises RigError when it cannot be saved.
    """
    store, guest = origin.store, origin.guest
    layers = tuple(layer.digest for layer in guest.spec.layers)
    content = origin.content(point.stop)
    key = key_of_point(origin.snapshot, origin.payload, layers, content)
    found, fresh = await finish_in_thread(find_branch_point, store, key), False
    if found is None:
        async with store.lock_async(f"branch-{key[:16]}", DEADLINE + saving_deadline(guest.spec)):
            # Another rig may have saved it while this one waited for the lock.
            found = await finish_in_thread(find_branch_point, store, key)
            if found is None:
                (progress or NullProgress()).phase("save the branch point")
                with store.staging_directory() as work:
                    await finish_in_thread(origin.write_payload, work / "payload")
                    found, fresh = (
                        await save_branch_point(
                            store,
                            guest.spec,
                            guest.qemu,
                            origin.snapshot,
                            work / "payload",
                            content,
                            key,
                            deadline=DEADLINE * timeout_scale,
                            scale=timeout_scale,
                            note=_note(origin, point),
                        ),
                        True,
                    )
        if fresh:
            await finish_in_thread(keep_bound, store)
    return Saved(origin, replace(point, first=found.step), found, past_differs(origin.source, found), fresh)


def _note(origin: Origin, point: Point) -> dict[str, Any]:
    """Return what lets later runs with the same past begin at this point; empty where none may."""
    source = origin.source
    if source.root is not None or point.stop.step is None:
        return {}
    payload = payload_of(origin.store, source.plan, origin.guest.parts.code)
    keys = prefix_keys(source.plan, origin.snapshot.key, payload, [layer.digest for layer in source.layers])
    key = next((key for key in keys if key.index + 1 == point.stop.step), None)
    return {} if key is None else note_of_prefix(source.plan, key, origin.snapshot.digest)


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
    # All plans before the first guest: a change that is not possible is a usage error, and no guest has run in vain.
    plans = [plan_future(source, saved.point, changes) for changes in futures]
    capacity = Capacity(jobs)

    async def one(number: int) -> Future:
        async with capacity.room_for(source.settings.memory):
            future = await run_future(
                saved, futures[number], plans[number], number=number, progress=progress, record=record,
                timeout_scale=timeout_scale,
            )  # fmt: skip
        ended(number, future)
        return future

    return await gathered(one(number) for number in range(len(futures)))


async def run_future(
    saved: Saved,
    changes: Changes,
    plan: FuturePlan | None = None,
    *,
    number: int = 0,
    progress: Progress | None = None,
    record: bool = True,
    timeout_scale: float = 1.0,
) -> Future:
    """Run one future from a saved point.

    plan: what plan_future() returned for it, if the caller has asked.
    number: its position among the futures of one call.
    """
    from rig.run.document import Branch

    plan = plan or plan_future(saved.origin.source, saved.point, changes)
    source, point = saved.origin.source, saved.branch_point
    branch = Branch(
        parent=source.run.id if source.run is not None else "",
        point=saved.point.text,
        key=point.key,
        step=point.step,
        time=point.time,
        changes=changes.texts,
        sets=changes.sets,
        acts=tuple(act.text() for act in changes.acts),
        past=saved.past,
        number=number,
    )
    job = Job(
        source.scenario,
        plan.settings,
        plan.plan,
        layers=source.layers,
        departure=Departure(point, plan.continuation, saved.origin.booted, branch),
    )
    request = replace(source.request, record=record, timeout_scale=timeout_scale)
    run, directory = await run_job(job, request, progress or NullProgress(), saved.origin.store)
    return Future(changes, run, directory)
