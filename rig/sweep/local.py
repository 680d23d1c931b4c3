# SPDX-License-Identifier: MIT
"""Run a sweep on this machine, with as many guests in parallel as its CPUs and free memory allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import islice

from rig.branch.sharing import Pasts
from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.finishing import end, finish_in_thread
from rig.image.store import Store
from rig.sweep.row import Row, row_of_error
from rig.sweep.task import PointTask, common_pasts, run_point

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """An executor that runs each task as a guest of this process.

    share: whether tasks that have a past in common begin at a branch point.
    """

    def __init__(self, jobs: int | None = None, store: Store | None = None, *, share: bool = True) -> None:
        self.share = share
        self.capacity = Capacity(jobs)
        self._store = store or Store()

    async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        """Yield each row as its run ends."""
        tasks = list(tasks)
        pasts = await finish_in_thread(self._pasts, tasks)
        finished: asyncio.Queue[Row | BaseException] = asyncio.Queue()
        waiting = iter(tasks)
        working: set[asyncio.Future[None]] = set()

        def begin(count: int) -> None:
            for task in islice(waiting, count):
                each = asyncio.ensure_future(self._one(task, began, finished, pasts))
                working.add(each)
                each.add_done_callback(working.discard)

        left = len(tasks)
        try:
            # One more than run at once: it begins as soon as another ends. Thousands would take memory for nothing.
            begin(self.capacity.jobs + 1)
            while left:
                row = await finished.get()
                if isinstance(row, BaseException):
                    raise row
                left -= 1
                begin(1)
                yield row
        finally:
            await end(*working)
            await pasts.close()

    def _pasts(self, tasks: Sequence[PointTask]) -> Pasts:
        """Return the pasts that tasks of one sweep have in common."""
        if not self.share or not tasks:
            return Pasts(self._store, {})
        return Pasts(self._store, common_pasts(self._store, tasks), tasks[0].record, tasks[0].timeout_scale)

    async def _one(
        self,
        task: PointTask,
        began: Callable[[PointTask], None],
        finished: asyncio.Queue[Row | BaseException],
        pasts: Pasts,
    ) -> None:
        try:
            async with self.capacity.room_for(task.memory):
                began(task)
                row, _ = await run_point(task, self._store, pasts=pasts)
        except RigError as error:
            row = row_of_error(error, *task.key, dict(task.settings))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Any other exception is a bug in rig and ends the sweep; finished runs are in the journal.
            await finished.put(error)
            return
        await finished.put(row)
