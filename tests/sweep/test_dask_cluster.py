# SPDX-License-Identifier: MIT
"""What the local cluster of a sweep prints of itself: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import warnings
from typing import Any

import pytest

from rig.sweep.dask import DaskExecutor
from rig.sweep.local_cluster import local_cluster
from rig.sweep.task import PointTask

FIRST_HEARTBEAT = 1.0
"""Host seconds after its start at which a worker of dask.distributed sends its first heartbeat."""


def test_heartbeat_that_no_one_answers_any_more_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduler = pytest.importorskip("distributed.scheduler")
    heard: list[str] = []
    make = scheduler.Scheduler.__init__

    async def answer_late(**heartbeat: Any) -> None:
        heard.append(heartbeat["address"])
        await asyncio.sleep(60)

    def make_busy(self: Any, *words: Any, **named: Any) -> None:
        make(self, *words, **named)
        self.handlers["heartbeat_worker"] = answer_late

    monkeypatch.setattr(scheduler.Scheduler, "__init__", make_busy)

    async def sweep() -> list[str]:
        verdicts: list[str] = []
        task = PointTask(0, 0, "no-such-scenario", (), (), 0)
        async for row in DaskExecutor(jobs=1, share=False).run([task], lambda task: None):
            verdicts.append(row.verdict)
            await asyncio.sleep(FIRST_HEARTBEAT + 0.2)
        return verdicts

    assert asyncio.run(sweep()) == ["error"]
    assert heard
    assert capfd.readouterr().err == ""


def test_second_cluster_on_the_machine_is_no_reason_for_a_warning() -> None:
    distributed = pytest.importorskip("distributed")

    async def start() -> str:
        async with local_cluster(distributed, 1) as cluster:
            return str(cluster.scheduler.http_server.address)

    with socket.socket() as other, warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(OSError):  # there is another cluster
            other.bind(("127.0.0.1", 8787))
            other.listen()
        assert asyncio.run(start()) == "127.0.0.1"
