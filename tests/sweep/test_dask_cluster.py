# SPDX-License-Identifier: MIT
"""What the local cluster of a sweep prints of itself when it closes: nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rig.sweep.dask import DaskExecutor
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
