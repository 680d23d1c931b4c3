# SPDX-License-Identifier: MIT
"""A report scaled to a guest: the actors, what each of them holds, and what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rig.reproduce.fingerprint import Fingerprint, Holder

__all__ = ["KERNEL", "OTHERS", "Actor", "LeftOut", "Replica", "whole_megabytes"]

MIB = 1 << 20
SMALLEST = 128 << 20
"""Memory of the smallest guest, in bytes."""
BESIDE_A_CGROUP = 192 << 20
"""Memory of the guest beyond the limit of the cgroup that runs full."""
KERNEL = "rig-kernel"
"""Comm of the actor that holds what no task of the report does; it is never chosen."""
OTHERS = "rig-others"
"""Comm of the actor that stands for the tasks that are too small to be played; it is never chosen."""


@dataclass(frozen=True)
class LeftOut:
    """A part of the report that the scenario does not play, and why."""

    field: str
    why: str


@dataclass(frozen=True)
class Actor:
    """A process of the scenario. Sizes in bytes, by the words of guest/programs/cast/.

    name: its parameters' prefix.
    row: the task of the report that it stands for; None for KERNEL and OTHERS.
    """

    name: str
    comm: str
    adj: int = 0
    uid: int = 0
    cgroup: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    forks: int = 0
    child: str = ""
    trigger: str = ""
    order: int = 0
    row: Holder | None = None

    @property
    def held(self) -> int:
        """Bytes that it takes for itself: not what is in swap, and not what it maps of a file or of shared memory."""
        own = sum(size for kind, size in self.sizes.items() if kind not in ("swapped", "own", "file", "mapped"))
        return own + self.forks * self.sizes.get("own", 0)


@dataclass(frozen=True)
class Replica:
    """A report, scaled.

    scale: divisor of every size.
    memory, swap, limit, swap_limit: bytes; limit is None without a cgroup, swap_limit without a bound.
    growth: bytes that the invoker takes after all hold what they hold.
    disk: bytes of the disk that is read; 0 for none.
    huge_pages: of 2 MB.
    min_free_kb: vm.min_free_kbytes; 0 to leave it as it is.
    """

    report: Fingerprint
    scale: float
    memory: int
    swap: int
    cgroup: str
    limit_owner: str
    limit: int | None
    swap_limit: int | None
    growth: int
    disk: int
    huge_pages: int
    min_free_kb: int
    actors: tuple[Actor, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def by_hand(self) -> bool:
        """Whether the OOM killer is called by SysRq f."""
        return self.report.scope == "sysrq"

    def with_room(self, more: int) -> Replica:
        """Return the replica with so many bytes more (or fewer) in what runs out: the cgroup's limit, or the guest."""
        if self.limit is not None:
            limit = max(self.limit + more, 4 * MIB)
            return replace(self, limit=limit, memory=max(self.memory, whole_megabytes(limit + BESIDE_A_CGROUP)))
        return replace(self, memory=max(SMALLEST, whole_megabytes(self.memory + more)))


def whole_megabytes(size: float) -> int:
    """Return a size rounded up to megabytes, in bytes."""
    return -(-int(size) // MIB) * MIB
