# SPDX-License-Identifier: MIT
"""Limit the number of guests that run in parallel, by the number of CPUs and by available memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rig.errors import RigError
from rig.units import format_size

__all__ = ["KEPT_FREE", "Capacity", "available_memory", "default_jobs"]

# Host memory of a guest beside its RAM: QEMU, its translation cache (tb-size allows 1 GB, far less is used), the
# payload, and rig's own buffers.
PER_GUEST = 256 << 20
# Left free for other processes, so that rig does not cause an OOM on the host.
KEPT_FREE = 512 << 20
LOOK_AGAIN = 0.5


def available_memory() -> int:
    """Return the memory that rig may still take, in bytes: MemAvailable, or what is left below memory.max if less."""
    fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(fields["MemAvailable"].split()[0]) << 10
    try:
        group = Path("/sys/fs/cgroup", Path("/proc/self/cgroup").read_text().split("::", 1)[1].strip().lstrip("/"))
        bound = (group / "memory.max").read_text().strip()
        if bound != "max":
            free = min(free, int(bound) - int((group / "memory.current").read_text()))
    except (OSError, IndexError, ValueError):
        pass
    return max(free, 0)


def default_jobs() -> int:
    """Return the number of CPUs in the affinity mask of this process."""
    return len(os.sched_getaffinity(0))


class Capacity:
    """A semaphore over CPUs and memory.

    One guest may always start if it fits; further ones start only while CPUs and memory are free.
    """

    def __init__(self, jobs: int | None = None, available: Callable[[], int] = available_memory) -> None:
        self.jobs = jobs or default_jobs()
        self._available = available
        self._slots = asyncio.Semaphore(self.jobs)
        self._turn = asyncio.Lock()
        self._promised: list[int] = []
        self._budget = 0
        self.most = 0

    @asynccontextmanager
    async def room_for(self, memory: int) -> AsyncIterator[None]:
        """Wait until a guest with `memory` bytes fits, and reserve them until the context ends.

        Raises RigError when the guest does not fit even alone.
        """
        need = memory + PER_GUEST
        async with self._slots:
            async with self._turn:
                await self._until_it_fits(need)
                self._promised.append(need)
                self.most = max(self.most, len(self._promised))
            try:
                yield
            finally:
                self._promised.remove(need)

    async def _until_it_fits(self, need: int) -> None:
        while True:
            free = self._available()
            if not self._promised:
                self._budget = free
            # A guest that has just started has not touched its memory yet, so MemAvailable still includes it. All
            # reservations therefore count against the budget, which is the memory available before the first guest.
            # `free` is checked too, because other processes may have taken memory since.
            if need + sum(self._promised) <= self._budget - KEPT_FREE and need <= free - KEPT_FREE:
                return
            if not self._promised:
                if need <= free:
                    return
                raise RigError(
                    f"a guest of {format_size(need - PER_GUEST)} does not fit: {free >> 20} MB are free",
                    where="memory",
                    remedy="free memory on the host, or ask for a smaller guest",
                )
            await asyncio.sleep(LOOK_AGAIN)
