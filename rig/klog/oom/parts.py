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
    """The free blocks of one size in a zone, as `3*1024kB (UM)`.

    types: the letters of the migrate types that have such blocks (show_migration_types() in mm/show_mem.c).
    """

    count: int
    size_kb: int
    types: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """A memory zone: its free memory and its watermarks in kB.

    values: every `key:value` of the zone's line in kB, including free, min, low and high.
    lowmem_reserve: in pages.
    buddy: the zone's free blocks; empty where the report has no list for the zone.
    buddy_total_kb: the sum of the list as the kernel printed it.
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
    """A node's line of Mem-Info. values: in kB."""

    node: int
    values: dict[str, int] = field(default_factory=dict)
    all_unreclaimable: bool | None = None
    line: int = 0


@dataclass(frozen=True, slots=True)
class HugePages:
    """The hugetlb pool of one page size.

    node: the node of the pool; None for the whole machine.
    total, free, surplus: in huge pages.
    """

    node: int | None
    total: int
    free: int
    surplus: int
    size_kb: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class SlabRow:
    """A row of the table `Unreclaimable slab info`: one slab cache, in kB."""

    name: str
    used_kb: int
    total_kb: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class AllocationSite:
    """A line of the memory allocation profile (CONFIG_MEM_ALLOC_PROFILING): what one allocation site holds."""

    size_bytes: int
    calls: int
    site: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class CgroupUsage:
    """A counter of the cgroup that reached its limit: `memory: usage 100kB, limit 100kB, failcnt 5`.

    limit_kb: None for a limit of `max` (PAGE_COUNTER_MAX).
    failcnt: how often a charge hit the limit.
    """

    name: str
    usage_kb: int
    limit_kb: int | None
    failcnt: int
    line: int = 0


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A row of the task table.

    total_vm, rss, rss_anon, rss_file, rss_shmem, swapents: in pages.
    pgtables_bytes: in bytes.
    extra: the columns without a field here: nr_ptes and nr_pmds before 4.15, cpu and oom_adj of 2.6, and any column
        that a later kernel adds.
    A field is None where the kernel prints no such column: pgtables_bytes came with 4.15, rss_anon, rss_file and
    rss_shmem with 6.8.
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
    """A process that the OOM killer killed. Sizes are in kB, and None where the kernel does not print them.

    reason: the kernel's text before `Killed process`, such as `Out of memory`.
    score: the task's /proc/PID/oom_score, which kernels until 4.18 print.
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
    """A line of the oom_reaper.

    anon_rss_kb, file_rss_kb, shmem_rss_kb: what the victim still held after it was reaped.
    done: False for `unable to reap`.
    """

    pid: int
    comm: str
    anon_rss_kb: int | None
    file_rss_kb: int | None
    shmem_rss_kb: int | None
    done: bool
    line: int
