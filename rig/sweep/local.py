# SPDX-License-Identifier: MIT
"""The executor of this machine: as many guests at once as CPUs and free memory allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.image.store import Store
from rig.sweep.row import Row, row_of_error
from rig.sweep.task import PointTask, run_point

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """Runs each task as a guest of this process."""

    def __init__(self, jobs: int | None = None, store: Store | None = None) -> None:
        self.capacity = Capacity(jobs)
        self._store = store or Store()

    async def run(self, tasks: Iterable[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        """Yield each row as its run ends."""
        finished: asyncio.Queue[Row | BaseException] = asyncio.Queue()
        working = [asyncio.ensure_future(self._one(task, began, finished)) for task in tasks]
        try:
            for _ in working:
                row = await finished.get()
                if isinstance(row, BaseException):
                    raise row
                yield row
        finally:
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    async def _one(
        self, task: PointTask, began: Callable[[PointTask], None], finished: asyncio.Queue[Row | BaseException]
    ) -> None:
        try:
            async with self.capacity.room_for(task.memory):
                began(task)
                row, _ = await run_point(task, self._store)
        except RigError as error:
            row = row_of_error(error, *task.key, dict(task.settings))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # A bug in rig ends the sweep; what is finished is in the journal.
            await finished.put(error)
            return
        await finished.put(row)
