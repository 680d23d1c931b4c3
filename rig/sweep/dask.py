# SPDX-License-Identifier: MIT
"""Run a sweep with dask.distributed, on a local cluster or on a scheduler that the user started."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from uuid import uuid4

from rig.branch.sharing import SharedPast
from rig.errors import RigError
from rig.experiment.capacity import default_jobs
from rig.extras import lacking
from rig.finishing import finish_in_thread
from rig.image.store import Store
from rig.sweep.backup import Pace, backups
from rig.sweep.dask_worker import PastOf, run_on_worker, worker_version
from rig.sweep.local_cluster import local_cluster
from rig.sweep.row import Row, row_of_error
from rig.sweep.task import PointTask, common_pasts, rig_version, unpack_run

__all__ = ["DaskExecutor", "dask_executor"]

FIND_SCHEDULER = 10.0
NO_WORKER = 30.0
"""Host seconds for which a sweep waits when the scheduler has no worker left: one that died may be started again."""
COUNT_WORKERS = 5.0
"""Host seconds without a result after which the workers are counted."""
BACKUP = "-backup"
"""What the key of a copy of a task has at its end."""


def _distributed() -> Any:
    """Import dask.distributed, and return it. Raises RigError where it is not installed."""
    try:
        import distributed
    except ImportError as error:
        raise lacking("distributed", str(error)) from None
    # It wants to tell of each connection, with tracebacks. What goes wrong with a task is told as the task's own, and
    # what goes wrong with the scheduler as an error of the sweep.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_no_cancelled_task)
    return distributed  # only some of its functions have types


def _is_no_cancelled_task(record: logging.LogRecord) -> bool:
    # Dask logs the end of its own tasks, by the module of the innermost await (_LogErrors in distributed/utils.py).
    return not record.exc_info or not isinstance(record.exc_info[1], asyncio.CancelledError)


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
        distributed = _distributed()
        async with AsyncExitStack() as stack:
            client = await self._client(distributed, stack)
            await _check_workers(client, self._scheduler)
            pasts = await finish_in_thread(common_pasts, Store(), tasks) if self.share else {}
            sending = _Sending(client, distributed.as_completed([], loop=client.loop), pasts)
            for task in tasks:
                sending.submit(task)
                began(task)
            try:
                async for row in sending.rows():
                    yield row
            except OSError:
                raise _lost(self._scheduler) from None

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
            raise _no_scheduler(self._scheduler, error) from None


class _Sending:
    """The tasks of one sweep at Dask, and what comes back: one row a task, also of one that two workers have.

    Its methods raise OSError when the scheduler is lost.
    """

    def __init__(self, client: Any, completed: Any, pasts: Mapping[tuple[int, int], SharedPast]) -> None:
        self._client, self._completed, self._pasts = client, completed, pasts
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
        """Yield the row of each task once. Raises RigError when no worker is left."""
        while self._futures:
            future = await self._next()
            task = future.key.partition(BACKUP)[0]
            if task not in self._futures:
                continue
            others = [each for each in self._futures[task] if each is not future]
            row = await _row(future, self._tasks[task])
            if row.verdict == "error" and others:
                # What one host cannot run the other may.
                self._futures[task] = others
                continue
            del self._futures[task]
            for each in others:
                await each.cancel()
            if row.host_seconds is not None:
                self._pace.add(row.worker, row.host_seconds)
            yield row
            await self._begin_backups()

    async def _next(self) -> Any:
        coming = asyncio.ensure_future(anext(self._completed))
        since = time.monotonic()
        try:
            while not (await asyncio.wait({coming}, timeout=COUNT_WORKERS))[0]:
                if await self._client.nthreads():
                    since = time.monotonic()
                elif time.monotonic() - since >= NO_WORKER:
                    raise RigError(
                        f"the scheduler has had no worker for {NO_WORKER:.0f} s",
                        where="dask",
                        remedy="start one, and the sweep again with --resume",
                    )
            return coming.result()
        finally:
            coming.cancel()

    async def _begin_backups(self) -> None:
        undone = self._futures.keys() - self._copied
        threads = await self._client.nthreads() if undone else {}
        # More wait for a worker than there are workers: none of them is idle.
        if not undone or len(undone) > sum(threads.values()):
            return
        running = await self._client.processing()
        for each in backups(running, threads, undone, self._pace, time.monotonic() - self._began):
            self._copied.add(each.key)
            self._submit(each.key, each.key + BACKUP, workers=[each.worker])


@contextmanager
def dask_executor(scheduler: str) -> Iterator[Executor]:
    """Yield an executor (concurrent.futures) whose tasks run on the workers of a Dask scheduler.

    Raises RigError when the scheduler does not answer or has no worker, or a worker has another version of rig.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(scheduler, timeout=FIND_SCHEDULER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise _no_scheduler(scheduler, error) from None
    with client:
        client.sync(_check_workers, client, scheduler)
        with client.get_executor() as executor:
            yield executor


def _no_scheduler(scheduler: str | None, error: Exception) -> RigError:
    return RigError(
        f"no scheduler answers: {error}",
        where=f"--scheduler {scheduler}",
        remedy="start one: dask scheduler --host 127.0.0.1; then: dask worker ADDRESS --nthreads 1",
    )


def _lost(scheduler: str | None) -> RigError:
    return RigError(
        "the connection to the scheduler is lost",
        where=f"--scheduler {scheduler}" if scheduler else "dask",
        remedy="see to it that it runs, and start the sweep again with --resume",
    )


async def _check_workers(client: Any, scheduler: str | None) -> None:
    try:
        await client.wait_for_workers(1, timeout=FIND_SCHEDULER)
        versions = await client.run(worker_version)
    except TimeoutError:
        raise RigError(
            "the scheduler has no worker",
            where=f"--scheduler {scheduler}",
            remedy=f"start one: dask worker {scheduler} --nthreads 1",
        ) from None
    except (ImportError, AttributeError) as error:
        raise RigError(
            f"a worker has no rig, or a rig that is too old: {error}",
            where=f"--scheduler {scheduler}",
            remedy=f"install rig {rig_version()} there",
        ) from None
    for address, version in sorted(versions.items()):
        if version != rig_version():
            raise RigError(
                f"a worker has rig {version}, but this is rig {rig_version()}",
                where=address,
                remedy="install the same rig on both, and start the worker again",
            )


async def _row(future: Any, task: PointTask) -> Row:
    try:
        row, packed = await future.result()
    except Exception as error:
        if future.cancelled():
            # Not by this sweep, which asks for no result of what it has cancelled: the connection is lost.
            raise OSError(str(error)) from None
        # Any exception: Dask raises KilledWorker when several workers died while running the task.
        failed = RigError(f"the worker failed: {type(error).__name__}: {error}", where="dask")
        return row_of_error(failed, *task.key, dict(task.settings))
    if packed is not None:
        await finish_in_thread(unpack_run, packed, row.run)
    found: Row = row
    return found
