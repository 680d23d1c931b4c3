# SPDX-License-Identifier: MIT
"""A CPU of the host for one guest on the warp clock.

Such a QEMU has two threads that hand one lock to and fro at every timer of the guest, and never both have work. On
two CPUs each handing over wakes an idle one, which a host that is a virtual machine pays dearly; on one it is a
switch between threads.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["keep_to", "own_cpu"]

PREFIX = "\0rig-processor-"
"""An abstract socket's name (unix(7)) is the lock: it is free again when its owner has died."""


@contextmanager
def own_cpu() -> Iterator[int | None]:
    """Yield a CPU that no other rig's guest keeps to, or None where each has one, or there is but one."""
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        yield next((each for each in allowed if _taken(lock, each)), None) if len(allowed) > 1 else None


def _taken(lock: socket.socket, cpu: int) -> bool:
    try:
        lock.bind(f"{PREFIX}{cpu}")
    except OSError:
        return False
    return True


def keep_to(pid: int, cpu: int | None) -> None:
    """Let all threads of a process run there, and those that they will start; where they may not, they run anywhere."""
    if cpu is None:
        return
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task.name), {cpu})
