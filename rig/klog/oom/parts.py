# SPDX-License-Identifier: MIT
"""The parts of an OOM report: zones, nodes, cgroup counters, tasks, kills."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = [
    "AllocationSite",
    "BuddyOrder",
    "CgroupUsage",
    "HugePages",
    "Kill",
    "Node",
    "Reaped",
    "SlabRow",
    "TaskRow",
    "Zone",
]


@dataclass(frozen=True, slots=True)
class BuddyOrder:
    """Free blocks of one size in a zone's buddy allocator: `3*1024kB (UM)`; types are migrate types."""

    count: int
    size_kb: int
    types: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A memory zone: free pages against its watermarks; all in kB, lowmem_reserve in pages.

    values holds every `key:value` of the line, the four named ones included. buddy is empty where the
    report has no list for the zone; buddy_total_kb is the sum that the kernel printed.
    """

    node: int
    name: str
    free: int
    min: int
    low: int
    high: int
    values: dict[str, int] = field(default_factory=dict)
    all_unreclaimable: bool | None = None
    lowmem_reserve: tuple[int, ...] = ()
    buddy: tuple[BuddyOrder, ...] = ()
    buddy_total_kb: int | None = None
    line: int = 0
    buddy_line: int | None = None
    reserve_line: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A node's own line of Mem-Info, values in kB."""

    node: int
    values: dict[str, int] = field(default_factory=dict)
    all_unreclaimable: bool | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class HugePages:
    """One size of huge pages on one node (node None: the machine)."""

    node: int | None
    total: int
    free: int
    surplus: int
    size_kb: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class SlabRow:
    """A cache of the `Unreclaimable slab info` table; kB."""

    name: str
    used_kb: int
    total_kb: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class AllocationSite:
    """A line of the memory allocation profile (CONFIG_MEM_ALLOC_PROFILING): who holds how much."""

    size_bytes: int
    calls: int
    site: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class CgroupUsage:
    """A counter of the cgroup that ran full: `memory: usage 100kB, limit 100kB, failcnt 5`; kB.

    limit_kb is None for a limit of `max` (the largest value that page_counter holds).
    """

    name: str
    usage_kb: int
    limit_kb: int | None
    failcnt: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of the task table. total_vm, rss* and swapents are pages; pgtables_bytes is bytes.

    None where the kernel prints no such column: rss_anon, rss_file and rss_shmem came with 6.8,
    pgtables_bytes with 4.15. extra holds the columns that have no field: nr_ptes and nr_pmds of older
    kernels, cpu and oom_adj of 2.6, and what is to come.
    """

    pid: int
    tgid: int | None
    uid: int | None
    total_vm: int
    rss: int
    rss_anon: int | None
    rss_file: int | None
    rss_shmem: int | None
    pgtables_bytes: int | None
    swapents: int | None
    oom_score_adj: int | None
    name: str
    line: int
    extra: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kill:
    """A process that the OOM killer killed; sizes in kB, None where the kernel does not print them.

    reason is the kernel's text before "Killed process", as `Out of memory`. score is /proc/PID/oom_score,
    printed until 4.x.
    """

    pid: int
    comm: str
    total_vm_kb: int | None
    anon_rss_kb: int | None
    file_rss_kb: int | None
    shmem_rss_kb: int | None
    uid: int | None
    pgtables_kb: int | None
    oom_score_adj: int | None
    reason: str
    line: int
    score: int | None = None
    extra: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reaped:
    """The oom_reaper's line: what the victim still held after it (kB); done is False for `unable to reap`."""

    pid: int
    comm: str
    anon_rss_kb: int | None
    file_rss_kb: int | None
    shmem_rss_kb: int | None
    done: bool
    line: int
