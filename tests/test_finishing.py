# SPDX-License-Identifier: MIT
"""What has begun has ended when its caller goes on, also when the caller is cancelled or one of several fails."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

import pytest

from rig.finishing import end, finish, finish_in_thread, gathered, within


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


async def _some_steps() -> str:
    for _ in range(5):
        await asyncio.sleep(0)
    return "result"


async def _lost(wait: Callable[[Coroutine[None, None, str]], Awaitable[str]]) -> list[int]:
    """Cancel what waits for some steps before each step of the loop; return the instants at which it goes on."""
    lost = []
    for instant in range(1, 100):
        waiting = asyncio.ensure_future(wait(_some_steps()))
        for _ in range(instant):
            await asyncio.sleep(0)
        if not waiting.cancel():
            assert instant > 2
            return lost
        await asyncio.wait({waiting})
        if not waiting.cancelled():
            lost.append(instant)
    raise AssertionError("it does not end")


async def _ended(work: Coroutine[None, None, str]) -> str:
    working = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    await end(working)
    return ""


async def _gathered(work: Coroutine[None, None, str]) -> str:
    return (await gathered([work]))[0]


@pytest.mark.parametrize("wait", [lambda work: within(60, work), finish, _gathered, _ended])
def test_cancellation_is_lost_at_no_instant(wait: Callable[[Coroutine[None, None, str]], Awaitable[str]]) -> None:
    assert asyncio.run(_lost(wait)) == []


def test_time_that_is_over_ends_the_work_first() -> None:
    work = Work()

    async def too_long() -> None:
        with pytest.raises(TimeoutError):
            await within(0.01, work.go_on())
        assert work.ended == 1

    asyncio.run(too_long())


def test_time_is_over_in_a_cancelled_caller_too() -> None:
    async def cleans_up() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with pytest.raises(TimeoutError):
                await within(0.01, asyncio.Event().wait())

    async def cancelled() -> bool:
        working = asyncio.ensure_future(cleans_up())
        await asyncio.sleep(0.01)
        working.cancel()
        await asyncio.wait({working})
        return working.cancelled()

    assert asyncio.run(cancelled())


def test_result_and_errors_in_time_are_the_works() -> None:
    async def fails(error: type[BaseException]) -> None:
        await asyncio.sleep(0)
        raise error

    async def all_of_them() -> str:
        for error in (ZeroDivisionError, TimeoutError, asyncio.CancelledError):
            with pytest.raises(error):
                await within(60, fails(error))
        return await within(60, _some_steps())

    assert asyncio.run(all_of_them()) == "result"


def test_error_that_a_cancelled_caller_does_not_ask_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> str:
        await _some_steps()
        raise ZeroDivisionError

    async def all_instants() -> None:
        for instant in range(1, 10):
            working = asyncio.ensure_future(within(60, fails()))
            for _ in range(instant):
                await asyncio.sleep(0)
            working.cancel()
            await asyncio.wait({working})
            if not working.cancelled():
                assert isinstance(working.exception(), ZeroDivisionError)

    asyncio.run(all_instants(), debug=True)

    assert "never retrieved" not in caplog.text
