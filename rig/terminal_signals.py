# SPDX-License-Identifier: MIT
"""Keep from processes that are started what a terminal sends to its whole process group.

An interrupt waits for the end of what is called here (rig/cli/interrupts.py).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import TypeVar

__all__ = ["started_without_terminal_signals", "without_terminal_signals"]

Result = TypeVar("Result")

TERMINAL_SENDS = {signal.SIGINT, signal.SIGHUP}


@contextmanager
def without_terminal_signals() -> Iterator[None]:
    """Let processes of multiprocessing start with SIGINT and SIGHUP blocked. One that comes here meanwhile waits.

    A worker that is ended by them prints a traceback, and may be waited for. The resource tracker of multiprocessing
    prints one for each semaphore that it does not know any more.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SENDS)
    try:
        # It unblocks SIGINT when it starts (ensure_running() in Lib/multiprocessing/resource_tracker.py).
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SENDS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def started_without_terminal_signals(start: Callable[[], Result]) -> Result:
    """Call a function that starts processes, as without_terminal_signals() does.

    One that is started by half prints that its input has ended.
    """
    with without_terminal_signals():
        return start()
