# SPDX-License-Identifier: MIT
"""Wait for what has begun: to its end also when cancelled, or for some seconds, and lose no cancellation meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

__all__ = ["end", "finish", "finish_in_thread", "gathered", "within"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


async def finish(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine returns, and when cancelled wait for its end. Cancelled a second time, it does not wait.

    Not for one that waits for what only the caller's `finally` ends, such as the output of a program.
    """
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        # asyncio logs an exception that nobody has asked for.
        if not working.cancelled():
            working.exception()
        raise


async def finish_in_thread(
    function: Callable[Parameters, Result], /, *arguments: Parameters.args, **keywords: Parameters.kwargs
) -> Result:
    """Do what asyncio.to_thread() does, and when cancelled wait for the function's return, as finish() does.

    asyncio.to_thread() leaves the function running: it then writes into a directory that is being removed.
    """
    return await finish(asyncio.to_thread(function, *arguments, **keywords))


async def gathered(works: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Do what asyncio.gather() does, and do not go on before all have ended.

    asyncio.gather() passes the first error or the first cancelled task on and leaves the others running, each with a
    QEMU. Here they are cancelled, and waited for. Cancelled a second time, it does not wait.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await end(*tasks)


async def within(seconds: float, work: Awaitable[Result]) -> Result:
    """Do what asyncio.wait_for() does, and raise CancelledError whenever the caller was cancelled.

    In Python 3.11 asyncio.wait_for() returns the result in its place where that came just before (gh-86296): an
    interrupted run then goes on. And asyncio.timeout() of Python 3.11.2 raises CancelledError where the time is over in
    what a cancelled caller does at its end (gh-102780).
    Raises TimeoutError when the time is over.
    """
    working = asyncio.ensure_future(work)
    try:
        await asyncio.wait({working}, timeout=seconds)
    finally:
        in_time = working.done()
        if not in_time:
            await end(working)
        elif not working.cancelled():
            # asyncio logs an exception that nobody asks for, and a cancelled caller does not.
            working.exception()
    if working.cancelled() and not in_time:
        raise TimeoutError
    return working.result()


async def end(*futures: asyncio.Future[Any]) -> None:
    """Cancel futures and wait until they have ended, whatever with. One that is being cancelled is waited for only.

    To await one and to suppress its CancelledError would suppress one of the caller's own too.
    """
    for future in futures:
        # A second time would cut short what it does at its end.
        if not (isinstance(future, asyncio.Task) and future.cancelling()):
            future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
