# SPDX-License-Identifier: MIT
"""Hold a lock file of the cache, so that two rig processes do not build the same entry at once.

A build may take an hour, so both functions wait without a limit. After SILENT_WAIT they log which lock they wait for.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

__all__ = ["hold_lock", "hold_lock_async"]

logger = logging.getLogger(__name__)
SILENT_WAIT = 3.0
"""Host seconds of waiting after which the lock is named in the log."""
WAITING = "waiting for another rig process, which holds %s"


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock file."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=SILENT_WAIT)
    except Timeout:
        logger.warning(WAITING, path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def hold_lock_async(path: Path) -> AsyncIterator[None]:
    """Hold a lock file, without blocking the event loop while waiting for it."""
    from filelock import AsyncFileLock, Timeout

    lock = AsyncFileLock(path, is_singleton=False)
    try:
        await lock.acquire(timeout=SILENT_WAIT)
    except Timeout:
        logger.warning(WAITING, path)
        await lock.acquire()
    try:
        yield
    finally:
        await lock.release()
