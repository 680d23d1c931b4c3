# SPDX-License-Identifier: MIT
"""Start worker processes of dask.distributed on this machine, and end them quietly."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from rig.finishing import finish

__all__ = ["local_cluster"]

TERMINAL_SENDS = {signal.SIGINT, signal.SIGHUP}


@asynccontextmanager
async def local_cluster(distributed: Any, workers: int) -> AsyncIterator[Any]:
    """Yield a cluster of `workers` processes on loopback. An interrupt from the terminal is left to this process."""
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        protocol="tcp://",
        dashboard_address=None,
        memory_limit=0,
        # A worker whose heartbeat is on its way when the cluster closes logs that as an error.
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )
    async with AsyncExitStack() as stack:
        # It closes what has started, and of a start that was cancelled it would leave tasks that print tracebacks.
        stack.push_async_exit(cluster)
        with _deaf_to_the_terminal():
            await finish(_start(cluster))
        yield cluster


async def _start(cluster: Any) -> None:
    await cluster


@contextmanager
def _deaf_to_the_terminal() -> Iterator[None]:
    """Start processes to which SIGINT and SIGHUP are blocked. One that comes here meanwhile waits.

    A terminal sends them to its whole process group. A worker that is ended by them prints a traceback and is waited
    for, and multiprocessing's resource tracker prints one for each semaphore that it does not know any more.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SENDS)
    try:
        # It unblocks SIGINT when it starts (ensure_running() in Lib/multiprocessing/resource_tracker.py).
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SENDS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
