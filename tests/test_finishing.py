# SPDX-License-Identifier: MIT
"""A function that is called in a thread has returned when its caller goes on, also when the caller is cancelled."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest

from rig.finishing import finish_in_thread


def _write(directory: Path, begun: threading.Event) -> None:
    begun.set()
    for number in range(20):
        (directory / str(number)).write_text("text")
        time.sleep(0.01)


async def _cancelled(directory: Path, begun: threading.Event) -> list[str]:
    working = asyncio.ensure_future(finish_in_thread(_write, directory, begun))
    await asyncio.to_thread(begun.wait)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    return [path.name for path in directory.iterdir()]


def test_cancelled_caller_waits_for_the_function(tmp_path: Path) -> None:
    assert len(asyncio.run(_cancelled(tmp_path, threading.Event()))) == 20


def test_result_and_error_are_the_functions() -> None:
    async def both() -> str:
        with pytest.raises(ZeroDivisionError):
            await finish_in_thread(lambda: 1 // 0)
        return await finish_in_thread(str.upper, "text")

    assert asyncio.run(both()) == "TEXT"


def test_error_after_a_cancellation_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def fails() -> None:
        begun = threading.Event()

        def work() -> None:
            begun.set()
            time.sleep(0.05)
            raise FileNotFoundError("the directory is gone")

        working = asyncio.ensure_future(finish_in_thread(work))
        await asyncio.to_thread(begun.wait)
        working.cancel()
        await asyncio.wait({working})

    asyncio.run(fails(), debug=True)

    assert "never retrieved" not in caplog.text
