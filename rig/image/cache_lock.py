# SPDX-License-Identifier: MIT
"""Hold a lock file of the cache, so that two rig processes do not build the same entry at once.

After SILENT_WAIT both functions log who holds the lock they wait for. A wait ends with an error after twice the
deadline of the work that is done under the lock: one that lasts longer is for a process that was stopped, or is stuck.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from rig.deadline_scale import SCALE_VARIABLE, scaled
from rig.errors import RigError
from rig.sanitize import plain

__all__ = ["hold_lock", "hold_lock_async"]

logger = logging.getLogger(__name__)
SILENT_WAIT = 3.0
"""Host seconds of waiting after which the lock is named in the log."""
WAITING = "waiting for %s, which holds %s"
LONGEST_COMMAND = 120


@contextmanager
def hold_lock(path: Path, deadline: float) -> Iterator[None]:
    """Hold a lock file.

    deadline: of the work under the lock, in host seconds before they are scaled.
    Raises RigError where another process holds the lock for longer than twice that.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=SILENT_WAIT)
    except Timeout:
        logger.warning(WAITING, _holder(path), path)
        try:
            lock.acquire(timeout=2 * scaled(deadline))
        except Timeout:
            raise _never_released(path, deadline) from None
    try:
        yield
    finally:
        lock.release()


@asynccontextmanager
async def hold_lock_async(path: Path, deadline: float) -> AsyncIterator[None]:
    """Hold a lock file, without blocking the event loop while waiting for it. Parameters and errors are hold_lock's."""
    from filelock import AsyncFileLock, Timeout

    lock = AsyncFileLock(path, is_singleton=False)
    try:
        await lock.acquire(timeout=SILENT_WAIT)
    except Timeout:
        logger.warning(WAITING, _holder(path), path)
        try:
            await lock.acquire(timeout=2 * scaled(deadline))
        except Timeout:
            raise _never_released(path, deadline) from None
    try:
        yield
    finally:
        await lock.release()


def _never_released(path: Path, deadline: float) -> RigError:
    return RigError(
        f"{_holder(path)} has not released a lock of the cache within {2 * scaled(deadline):g} s",
        where=path,
        remedy=f"see what that process does, and end it if it is stuck; to wait for longer set {SCALE_VARIABLE}=3",
    )


def _holder(path: Path) -> str:
    """Return the process that holds the flock of a file, with its command line, as far as the kernel tells."""
    try:
        found = path.stat()
        wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        # Fields: number, FLOCK, ADVISORY, WRITE, pid, device and inode (lock_get_status() in fs/locks.c). "->" follows
        # the number of a lock that is waited for. The pid is 0 or absent where the process is in another pid namespace.
        fields = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        pid = next(each[4] for each in fields if each[1] == "FLOCK" and each[5] == wanted)
        command = Path("/proc", str(int(pid)), "cmdline").read_bytes()
    except (OSError, ValueError, LookupError, StopIteration):
        return "another rig process"
    words = command.decode(errors="replace").strip("\0").replace("\0", " ")
    return f"process {pid} ({plain(words, longest=LONGEST_COMMAND)})"
