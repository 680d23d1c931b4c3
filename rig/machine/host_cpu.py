# SPDX-License-Identifier: MIT
"""Pin a QEMU on the warp clock to a host CPU of its own.

The vCPU thread and the main loop of such a QEMU pass one lock back and forth at every guest timer, and never both have
work. On two host CPUs each hand-over wakes an idle CPU, which is expensive when the host is a virtual machine. On one
CPU it is a context switch.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["keep_to", "own_cpu"]

PREFIX = "\0rig-cpu-"
"""The start of an abstract socket name (unix(7)). Binding it takes the lock; the kernel frees it with its owner."""


@contextmanager
def own_cpu() -> Iterator[int | None]:
    """Yield the number of a host CPU that no other guest is pinned to.

    Yields None if every allowed CPU is taken or only one is allowed.
    """
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
    """Pin all threads of a process, and the threads that these start later, to a host CPU.

    cpu: the CPU's number; None pins nothing. A thread that the kernel does not let rig pin stays unpinned.
    """
    if cpu is None:
        return
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            os.sched_setaffinity(int(task.name), {cpu})
