# SPDX-License-Identifier: MIT
"""Run a sweep with dask.distributed, on a local cluster or on a scheduler that the user started."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, contextmanager
from typing import Any

from rig.errors import RigError
from rig.experiment.capacity import default_jobs
from rig.extras import lacking
from rig.sweep.row import Row, row_of_error
from rig.sweep.task import PointTask, pack_run, rig_version, run_point, unpack_run

__all__ = ["DaskExecutor", "dask_executor", "run_on_worker", "worker_version"]

FIND_SCHEDULER = 10.0


def worker_version() -> str:
    """Return the version of rig on the worker that runs this function."""
    return rig_version()


def run_on_worker(task: PointTask) -> tuple[Row, bytes | None]:
    """Run a task on a worker; return the row and the packed directory of the run, None if it did not start.

    Kernel and image come from the worker's own cache, which builds them once.
    """
    from distributed import get_worker

    row, directory = asyncio.run(run_point(task, worker=str(get_worker().address)))
    return row, None if directory is None else pack_run(directory)


class DaskExecutor:
    """An executor that submits each task to Dask.

    scheduler: an address such as tcp://host:8786; None for worker processes on this machine.
    jobs: number of those processes; None for one a CPU.
    """

    def __init__(self, scheduler: str | None = None, jobs: int | None = None) -> None:
        self._scheduler = scheduler
        self._jobs = jobs or default_jobs()

    async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        """Yield each row as its run ends. If a worker dies, Dask runs its task again on another worker.

        Raises RigError when the scheduler does not answer or has no worker, or a worker has another version of rig.
        """
        try:
            import distributed as library
        except ImportError as error:
            raise lacking("distributed", str(error)) from None
        distributed: Any = library  # only some of its functions have types
        async with AsyncExitStack() as stack:
            client = await self._client(distributed, stack)
            await _check_workers(client, self._scheduler)
            futures = {}
            for task in tasks:
                future = client.submit(
                    run_on_worker, task, key=f"rig-{id(self)}-{task.point}-{task.repeat}", pure=False
                )
                futures[future] = task
                began(task)
            async for future in distributed.as_completed(futures, loop=client.loop):
                yield await _row(future, futures[future])

    async def _client(self, distributed: Any, stack: AsyncExitStack) -> Any:
        if self._scheduler is None:
            address = await stack.enter_async_context(
                distributed.LocalCluster(
                    n_workers=self._jobs,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    protocol="tcp://",
                    dashboard_address=None,
                    memory_limit=0,
                    asynchronous=True,
                )
            )
        else:
            address = self._scheduler
        try:
            return await stack.enter_async_context(
                distributed.Client(address, asynchronous=True, timeout=FIND_SCHEDULER, set_as_default=False)
            )
        except (OSError, ValueError) as error:
            raise _no_scheduler(self._scheduler, error) from None


@contextmanager
def dask_executor(scheduler: str) -> Iterator[Executor]:
    """Yield an executor (concurrent.futures) whose tasks run on the workers of a Dask scheduler.

    Raises RigError when the scheduler does not answer or has no worker, or a worker has another version of rig.
    """
    try:
        import distributed as library
    except ImportError as error:
        raise lacking("distributed", str(error)) from None
    distributed: Any = library  # only some of its functions have types
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
        # Any exception: Dask raises KilledWorker when several workers died while running the task.
        failed = RigError(f"the worker failed: {type(error).__name__}: {error}", where="dask")
        return row_of_error(failed, *task.key, dict(task.settings))
    if packed is not None:
        await asyncio.to_thread(unpack_run, packed, row.run)
    found: Row = row
    return found
