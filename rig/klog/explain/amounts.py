# SPDX-License-Identifier: MIT
"""Amounts that several rules need: the machine's memory, what is in no counter, what processes of a name hold."""

from __future__ import annotations

from collections import Counter, defaultdict

from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import CgroupUsage

__all__ = ["families", "largest_of_cgroup", "limit_that_was_hit", "managed_kb", "unaccounted_kb"]


def managed_kb(event: OomEvent) -> int:
    """Return the memory that the kernel manages, in kB; 0 where the report does not show it."""
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved", 0)
    if ram is not None:
        return max(ram - reserved, 0) * event.page_kb
    if event.scope in ("cpuset", "mempolicy"):
        return 0  # the report omits the zones of the other nodes
    return sum(zone.values.get("managed", zone.values.get("present", 0)) for zone in event.zones)


# The counters of Mem-Info that do not overlap. mapped, shmem and dirty are left out: their pages are on the LRU lists.
_COUNTED = (
    "active_anon", "inactive_anon", "isolated_anon", "active_file", "inactive_file", "isolated_file", "unevictable",
    "slab_reclaimable", "slab_unreclaimable", "pagetables", "sec_pagetables", "kernel_misc_reclaimable", "bounce",
    "free", "free_pcp",
)  # fmt: skip
_NEEDED = ("free", "active_anon", "inactive_anon", "active_file", "inactive_file", "slab_unreclaimable", "pagetables")


def unaccounted_kb(event: OomEvent) -> int:
    """Return the memory that is in no counter of the report (drivers' pages, per-CPU data, a balloon), in kB.

    0 where the report lacks one of the counters, because its memory would be mistaken for uncounted memory.
    """
    info, kb = event.mem_info, event.page_kb
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved")
    if ram is None or reserved is None or any(key not in info for key in _NEEDED):
        return 0
    counted = sum(info.get(key, 0) for key in _COUNTED) * kb
    counted += sum(node.values.get("kernel_stack", 0) for node in event.nodes)
    counted += sum(pool.total * pool.size_kb for pool in event.hugepages)
    return (ram - reserved) * kb - counted


def limit_that_was_hit(event: OomEvent) -> CgroupUsage | None:
    """Return the counter that reached its limit, or None without a limited counter.

    Of several counters, one with failed charges comes first, then the fullest.
    """
    limited = [usage for usage in event.cgroup if usage.limit_kb is not None and usage.name != "swap"]
    full = [usage for usage in limited if usage.usage_kb * 100 >= (usage.limit_kb or 0) * 99]
    return max(
        full or limited,
        key=lambda usage: (usage.failcnt > 0, usage.usage_kb / max(usage.limit_kb or 1, 1)),
        default=None,
    )


def families(event: OomEvent) -> list[tuple[str, int, int]]:
    """Return (name, kB in memory and swap, processes) for each name of a task, largest first.

    The table has one row for each process. Pages that forks share are counted once for each of them.
    """
    pages: dict[str, int] = defaultdict(int)
    for row in event.tasks:
        pages[row.name] += row.rss + (row.swapents or 0)
    counts = Counter(row.name for row in event.tasks)
    held = [(name, number * event.page_kb, counts[name]) for name, number in pages.items()]
    return sorted(held, key=lambda entry: entry[1], reverse=True)


def largest_of_cgroup(event: OomEvent) -> tuple[str, int]:
    """Return which of memory.stat's counters is the largest, and its kB; ("", 0) without them, as in cgroup v1.

    `file` is here without shmem, which the kernel counts in both.
    """
    stats = event.cgroup_stats
    if "anon" not in stats:
        return "", 0
    names = ("anon", "shmem", "slab", "pagetables", "kernel_stack", "sock")
    held = {name: stats.get(name, 0) for name in names}
    held["file"] = stats.get("file", 0) - held["shmem"]
    name = max(held, key=lambda each: held[each])
    return name, held[name] // 1024
