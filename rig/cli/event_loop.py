# SPDX-License-Identifier: MIT
"""Run a coroutine so that an interrupt cancels it, at whatever instant it comes.

asyncio.run() has gaps. A KeyboardInterrupt between two instructions of a loop that is being made or closed leaves half
of one, whose destructor prints a traceback (BaseSelectorEventLoop.__init__() and close() in
Lib/asyncio/selector_events.py). Its own handler of SIGINT cancels the task at once, which may be amid the callback that
wakes it, and raises after the task's end, while the loop still runs (Runner._on_sigint() in Lib/asyncio/runners.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from rig.cli.interrupts import cancel_with

__all__ = ["run"]

Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine returns. Raises KeyboardInterrupt where an interrupt cancelled it, or came too late."""
    came = cancelled = False

    async def interruptible() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            nonlocal cancelled
            cancelled = task.cancel() or cancelled

        def soon() -> None:
            nonlocal came
            came = True
            # Between two callbacks of the loop, and not amid one.
            loop.call_soon_threadsafe(cancel)

        cancel_with(soon)
        try:
            return await work
        finally:
            cancel_with(None)

    # Until the task is there, and once it has ended, interrupts wait for the end of this function.
    try:
        result = asyncio.run(interruptible())
    except asyncio.CancelledError:
        if cancelled:
            raise KeyboardInterrupt from None
        raise
    if came and not cancelled:
        raise KeyboardInterrupt
    return result
