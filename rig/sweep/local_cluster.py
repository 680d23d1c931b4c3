# SPDX-License-Identifier: MIT
"""Start worker processes of dask.distributed on this machine, and end them quietly."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from rig.finishing import finish
from rig.terminal_signals import without_terminal_signals

__all__ = ["local_cluster"]


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
        # Without a dashboard Dask serves its state all the same, at 8787: where another cluster does, it warns of it.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        memory_limit=0,
        # A worker whose heartbeat is on its way when the cluster closes logs that as an error.
        silence_logs=logging.CRITICAL,
        asynchronous=True,
    )
    async with AsyncExitStack() as stack:
        # A start that is cancelled amid leaves tasks that print tracebacks. So it is finished, and then closed.
        stack.push_async_exit(cluster)
        with without_terminal_signals():
            await finish(_start(cluster))
        yield cluster


async def _start(cluster: Any) -> None:
    await cluster
