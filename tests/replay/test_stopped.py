# SPDX-License-Identifier: MIT
"""A replay that is held at a stop point has the deadlines of its machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rig.replay import stopped
from rig.replay.replay import Bounds
from rig.replay.stop_point import StopPoint
from rig.run.progress import NullProgress


def test_scale_reaches_every_deadline_of_the_guest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scales = []

    @asynccontextmanager
    async def replaying(*arguments: object, scale: float, **options: object) -> AsyncIterator[Any]:
        scales.append(scale)
        yield SimpleNamespace(wiring=SimpleNamespace(gdb=tmp_path / "gdb"))

    @asynccontextmanager
    async def debug_port(*arguments: object, scale: float, **options: object) -> AsyncIterator[Any]:
        scales.append(scale)
        raise InterruptedError
        yield

    monkeypatch.setattr(stopped, "replaying", replaying)
    monkeypatch.setattr(stopped, "debug_port", debug_port)
    monkeypatch.setattr(stopped, "check_reached", lambda *arguments: None)
    monkeypatch.setattr(stopped, "symbol_addresses", lambda *arguments: {})
    anything = cast("Any", SimpleNamespace(run=None, directory=tmp_path, vmlinux=tmp_path))

    async def stop() -> None:
        point = StopPoint("t", seconds=1.0)
        bounds = Bounds(60.0, scale=3.0)
        async with stopped.stopped_at(anything, anything, anything, point, tmp_path, NullProgress(), bounds=bounds):
            pass

    with pytest.raises(InterruptedError):
        asyncio.run(stop())

    assert scales == [3.0, 3.0]
