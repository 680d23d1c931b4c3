# SPDX-License-Identifier: MIT
"""What has begun has ended when its caller goes on, also when the caller is cancelled or one of several fails."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from pathlib import Path

import pytest

from rig.finishing import finish_in_thread, gathered


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


class Work:
    """What takes some time to end once it is cancelled, as a guest does."""

    def __init__(self) -> None:
        self.ended = 0

    async def go_on(self) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            self.ended += 1

    async def fail(self) -> None:
        await asyncio.sleep(0.01)
        raise ZeroDivisionError

    async def end_at_once(self) -> None:
        await asyncio.sleep(60)


def test_results_are_in_the_order_of_the_works() -> None:
    async def late(value: int) -> int:
        await asyncio.sleep(0.03 / value)
        return value

    assert asyncio.run(gathered(late(value) for value in (1, 2, 3))) == [1, 2, 3]


def test_error_of_one_ends_the_others_before_it_is_raised() -> None:
    work = Work()

    async def all_of_them() -> None:
        with pytest.raises(ZeroDivisionError):
            await gathered([work.go_on(), work.fail(), work.go_on()])
        assert work.ended == 2

    asyncio.run(all_of_them())


def test_cancelled_caller_waits_for_all() -> None:
    work = Work()

    async def all_of_them() -> None:
        working = asyncio.ensure_future(gathered([work.end_at_once(), work.go_on()]))
        await asyncio.sleep(0.01)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert work.ended == 1

    asyncio.run(all_of_them())
