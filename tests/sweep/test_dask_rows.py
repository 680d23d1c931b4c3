# SPDX-License-Identifier: MIT
"""Each task of a sweep on Dask gives one row, also where two workers have it and one of them fails."""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from typing import Any

import pytest

from rig.errors import RigError
from rig.sweep import dask_scheduler
from rig.sweep.dask import BACKUP, _Sending
from rig.sweep.row import Row
from rig.sweep.task import PointTask

QUICK, SLOW = "tcp://10.0.0.2:4000", "tcp://10.0.0.3:4000"
TASKS = [PointTask(point, 0, "overcommit-oops", (), (), 0) for point in range(3)]


def row(point: int, worker: str, seconds: float, verdict: Any = "reproduced") -> Row:
    return Row(point=point, repeat=0, settings={}, verdict=verdict, worker=worker, host_seconds=seconds)


@dataclass
class Cluster:
    """What Dask's client and as_completed() do, in the order of `ends`: (part of a key, row or error)."""

    ends: list[tuple[str, Row | Exception]]
    threads: dict[str, int] = field(default_factory=lambda: {QUICK: 1, SLOW: 1})
    futures: list[Future] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    hangs: bool = False

    def submit(self, function: object, *arguments: object, key: str, **where: object) -> Future:
        self.futures.append(Future(key, self))
        return self.futures[-1]

    def add(self, future: Future) -> None:
        pass

    async def __anext__(self) -> Future:
        if not self.ends:
            await asyncio.sleep(60)
        end, outcome = self.ends.pop(0)
        future = next(each for each in self.futures if each.key.endswith(end))
        future.outcome = outcome
        return future

    async def wait_for_workers(self, count: int, timeout: float) -> None:
        assert len(self.threads) >= count

    async def run(self, function: object) -> dict[str, str]:
        await self._answer()
        return {}

    async def nthreads(self) -> dict[str, int]:
        await self._answer()
        return self.threads

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)

    async def processing(self) -> dict[str, list[str]]:
        return {SLOW: [each.key for each in self.futures if each.outcome is None and BACKUP not in each.key]}


@dataclass
class Future:
    key: str
    cluster: Cluster
    outcome: Row | Exception | None = None

    def cancelled(self) -> bool:
        return isinstance(self.outcome, CancelledError)

    async def result(self) -> tuple[Row, None]:
        assert self.outcome is not None
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome, None

    async def cancel(self) -> None:
        self.cluster.cancelled.append(self.key)


def rows_of(
    ends: list[tuple[str, Row | Exception]], patience: float = 30.0, **cluster_has: Any
) -> tuple[list[Row], Cluster]:
    cluster = Cluster(ends, **cluster_has)
    sending = _Sending(cluster, cluster, {})
    for task in TASKS:
        sending.submit(task)

    async def all_rows() -> list[Row]:
        return [each async for each in sending.rows()]

    return asyncio.run(asyncio.wait_for(all_rows(), patience)), cluster


FIRST: list[tuple[str, Row | Exception]] = [("-0-0", row(0, QUICK, 1.0)), ("-1-0", row(1, SLOW, 9.0))]


def test_copy_that_is_quicker_gives_the_row_and_ends_the_other() -> None:
    rows, cluster = rows_of([*FIRST, ("-2-0" + BACKUP, row(2, QUICK, 1.0))])

    assert [(each.point, each.worker) for each in rows] == [(0, QUICK), (1, SLOW), (2, QUICK)]
    assert [key.partition("-")[2][32:] for key in cluster.cancelled] == ["-2-0"]


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(RuntimeError("the worker has gone"), id="worker"),
        pytest.param(row(2, QUICK, 0.1, "error"), id="run"),
    ],
)
def test_copy_that_fails_is_no_result_while_the_other_runs(failure: Row | Exception) -> None:
    rows, cluster = rows_of([*FIRST, ("-2-0" + BACKUP, failure), ("-2-0", row(2, SLOW, 9.0))])

    assert [(each.point, each.worker, each.verdict) for each in rows[2:]] == [(2, SLOW, "reproduced")]
    assert len(cluster.futures) == 4


def test_both_that_fail_give_one_row() -> None:
    gone = RuntimeError("the worker has gone")

    rows, _ = rows_of([*FIRST, ("-2-0" + BACKUP, gone), ("-2-0", gone)])

    assert [(each.point, each.verdict) for each in rows] == [(0, "reproduced"), (1, "reproduced"), (2, "error")]
    assert "the worker has gone" in rows[2].reason


def test_sweep_whose_workers_have_all_gone_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_scheduler, "COUNT_WORKERS", 0.01)
    monkeypatch.setattr(dask_scheduler, "NO_WORKER", 0.05)

    with pytest.raises(RigError, match="the scheduler has had no worker for"):
        rows_of(list(FIRST), threads={})


def test_scheduler_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_scheduler, "COUNT_WORKERS", 0.01)
    monkeypatch.setattr(dask_scheduler, "ANSWER", 0.05)

    with pytest.raises(RigError, match="the scheduler does not answer within"):
        rows_of([], hangs=True)


def test_worker_that_hangs_before_the_first_task_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_scheduler, "ANSWER", 0.05)

    with pytest.raises(RigError, match="not all workers tell within") as raised:
        asyncio.run(dask_scheduler.check_workers(Cluster([], hangs=True), "tcp://10.0.0.1:8786"))

    assert "start it anew" in raised.value.remedy


def test_result_that_is_long_in_coming_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_scheduler, "COUNT_WORKERS", 0.01)
    monkeypatch.setattr(dask_scheduler, "NO_WORKER", 0.05)

    with pytest.raises(TimeoutError):
        rows_of(list(FIRST), patience=0.5)


def test_connection_that_is_lost_gives_no_row() -> None:
    with pytest.raises(RigError, match="the connection to the scheduler is lost"):
        rows_of([("-0-0", CancelledError("scheduler-connection-lost"))])
