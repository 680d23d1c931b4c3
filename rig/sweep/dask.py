# SPDX-License-Identifier: MIT
"""Run a sweep with dask.distributed, on a local cluster or on a scheduler that the user started."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

from rig.branch.sharing import SharedPast
from rig.errors import RigError
from rig.experiment.capacity import default_jobs
from rig.finishing import finish_in_thread
from rig.image.store import Store
from rig.sweep.backup import Pace, backups
from rig.sweep.dask_scheduler import (
    FIND_SCHEDULER,
    ask,
    check_workers,
    import_distributed,
    lost,
    no_scheduler,
    trouble,
)
from rig.sweep.dask_worker import PastOf, run_on_worker
from rig.sweep.local_cluster import local_cluster
from rig.sweep.row import Row, row_of_error
from rig.sweep.task import PointTask, common_pasts, unpack_run

__all__ = ["DaskExecutor", "dask_map"]

Item = TypeVar("Item")
Result = TypeVar("Result")

BACKUP = "-backup"
"""What the key of a copy of a task has at its end."""
LOOK_AGAIN = 1.0
"""Host seconds after which who waits for a result looks whether the workers are still there."""


class DaskExecutor:
    """An executor that submits each task to Dask.

    scheduler: an address such as tcp://host:8786; None for worker processes on this machine.
    jobs: number of those processes; None for one a CPU.
    share: whether tasks that have a past in common begin at a branch point.
    """

    def __init__(self, scheduler: str | None = None, jobs: int | None = None, *, share: bool = True) -> None:
        self.share = share
        self._scheduler = scheduler
        self._jobs = jobs or default_jobs()

    async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        """Yield each row as its run ends. If a worker dies, Dask runs its task again on another worker.

        Where a host is slow, its last runs are begun on another host too, and the first result counts.
        Raises RigError when the scheduler does not answer or has no worker, also amid the sweep, or a worker has
        another version of rig.
        """
        distributed = import_distributed()
        async with AsyncExitStack() as stack:
            client = await self._client(distributed, stack)
            await check_workers(client, self._scheduler)
            pasts = await finish_in_thread(common_pasts, Store(), tasks) if self.share else {}
            sending = _Sending(client, distributed.as_completed([], loop=client.loop), pasts, self._scheduler)
            for task in tasks:
                sending.submit(task)
                began(task)
            async for row in sending.rows():
                yield row

    async def _client(self, distributed: Any, stack: AsyncExitStack) -> Any:
        if self._scheduler is None:
            address = await stack.enter_async_context(local_cluster(distributed, self._jobs))
        else:
            address = self._scheduler
        try:
            return await stack.enter_async_context(
                distributed.Client(address, asynchronous=True, timeout=FIND_SCHEDULER, set_as_default=False)
            )
        except (OSError, ValueError) as error:
            raise no_scheduler(self._scheduler, error) from None


class _Sending:
    """The tasks of one sweep at Dask, and what comes back: one row a task, also of one that two workers have."""

    def __init__(
        self, client: Any, completed: Any, pasts: Mapping[tuple[int, int], SharedPast], scheduler: str | None = None
    ) -> None:
        self._client, self._completed, self._pasts, self._scheduler = client, completed, pasts, scheduler
        self._sweep = uuid4().hex
        self._tasks: dict[str, PointTask] = {}
        self._futures: dict[str, list[Any]] = {}
        """Key of a task without a row -> its futures; the second is a backup."""
        self._copied: set[str] = set()
        self._pace = Pace()
        self._began = time.monotonic()

    def submit(self, task: PointTask) -> None:
        """Let any worker run a task."""
        key = f"rig-{self._sweep}-{task.point}-{task.repeat}"
        self._tasks[key], self._futures[key] = task, []
        self._submit(key, key)

    def _submit(self, task: str, key: str, **where: Any) -> None:
        past = self._pasts.get(self._tasks[task].key)
        told = None if past is None else PastOf(self._sweep, past.sets, past.point.text)
        future = self._client.submit(run_on_worker, self._tasks[task], told, key=key, pure=False, **where)
        self._futures[task].append(future)
        self._completed.add(future)

    async def rows(self) -> AsyncIterator[Row]:
        """Yield the row of each task once. Raises RigError when the scheduler is lost, or has no worker left."""
        wrong = asyncio.ensure_future(trouble(self._client, self._scheduler))
        try:
            while self._futures:
                row = await self._row(await self._next(wrong))
                if row is not None:
                    yield row
                    await self._begin_backups()
        finally:
            wrong.cancel()

    async def _next(self, wrong: asyncio.Future[RigError]) -> Any:
        coming = asyncio.ensure_future(anext(self._completed))
        try:
            await asyncio.wait({coming, wrong}, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                return coming.result()
            raise wrong.result()
        finally:
            coming.cancel()

    async def _row(self, future: Any) -> Row | None:
        """Return the row of a future's task; None where it has one already, or another future may yet give a better."""
        task = future.key.partition(BACKUP)[0]
        if task not in self._futures:
            return None
        others = [each for each in self._futures[task] if each is not future]
        row = await _row(future, self._tasks[task], self._scheduler)
        if row.verdict == "error" and others:
            # What one host cannot run the other may.
            self._futures[task] = others
            return None
        del self._futures[task]
        for each in others:
            await ask(self._scheduler, each.cancel())
        if row.host_seconds is not None:
            self._pace.add(row.worker, row.host_seconds)
        return row

    async def _begin_backups(self) -> None:
        undone = self._futures.keys() - self._copied
        if not undone:
            return
        threads = await ask(self._scheduler, self._client.nthreads())
        # More wait for a worker than there are workers: none of them is idle.
        if len(undone) > sum(threads.values()):
            return
        running = await ask(self._scheduler, self._client.processing())
        for each in backups(running, threads, undone, self._pace, time.monotonic() - self._began):
            self._copied.add(each.key)
            self._submit(each.key, each.key + BACKUP, workers=[each.worker])


@contextmanager
def dask_map(scheduler: str) -> Iterator[Callable[[Callable[[Item], Result], Iterable[Item]], Iterator[Result]]]:
    """Yield a function as map(), which calls functions on the workers of a Dask scheduler.

    Raises RigError when the scheduler does not answer or has no worker, also while results are waited for, or a worker
    has another version of rig.
    """
    distributed = import_distributed()
    try:
        client = distributed.Client(scheduler, timeout=FIND_SCHEDULER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise no_scheduler(scheduler, error) from None
    with client:
        client.sync(check_workers, client, scheduler)
        wrong = asyncio.run_coroutine_threadsafe(trouble(client, scheduler), client.loop.asyncio_loop)

        def called(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
            for future in client.map(function, items, pure=False):
                yield _result(future, wrong, scheduler)

        try:
            yield called
        finally:
            wrong.cancel()


def _result(future: Any, wrong: Future[RigError], scheduler: str) -> Any:
    while True:
        try:
            return future.result(timeout=LOOK_AGAIN)
        except (CancelledError, OSError) as error:
            if future.status == "error":  # the function's own
                raise
            if not isinstance(error, TimeoutError):
                raise lost(scheduler) from None
            if wrong.done():
                raise wrong.result() from None


async def _row(future: Any, task: PointTask, scheduler: str | None) -> Row:
    try:
        row, packed = await future.result()
    except Exception as error:
        if future.cancelled():
            # Not by this sweep, which asks for no result of what it has cancelled: the connection is lost.
            raise lost(scheduler) from None
        # Any exception: Dask raises KilledWorker when several workers died while running the task.
        failed = RigError(f"the worker failed: {type(error).__name__}: {error}", where="dask")
        return row_of_error(failed, *task.key, dict(task.settings))
    if packed is not None:
        await finish_in_thread(unpack_run, packed, row.run)
    found: Row = row
    return found
