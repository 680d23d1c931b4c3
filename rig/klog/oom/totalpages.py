# SPDX-License-Identifier: MIT
"""Derive totalpages, the pages that oom_score_adj is a share of: constrained_alloc() in mm/oom_kill.c."""

from __future__ import annotations

from rig.klog.oom.parts import CgroupUsage, Zone

__all__ = ["derive", "parse_nodes"]

MOST_NODES = 1024  # MAX_NUMNODES of the largest configuration (NODES_SHIFT=10, include/linux/numa.h)


def derive(
    scope: str | None,
    totals: dict[str, int],
    zones: tuple[Zone, ...],
    cgroup: tuple[CgroupUsage, ...],
    *,
    mems_allowed: str | None,
    page_kb: int,
) -> int | None:
    """Return totalpages in pages, or None where the log lacks the figures.

    scope `global` or `sysrq`: managed RAM and all swap.
    scope `cpuset` or `mempolicy`: the present pages of the allowed nodes, and all swap.
    scope `memcg`: mem_cgroup_get_max(), the limit and the swap that the cgroup may use.
    """
    if scope == "memcg":
        return _of_cgroup(cgroup, page_kb)
    ram, reserved = totals.get("pages_ram"), totals.get("pages_reserved")
    swap = totals.get("total_swap_kb", 0) // page_kb
    if scope in ("global", "sysrq") and ram is not None and reserved is not None:
        return ram - reserved + swap
    if scope in ("cpuset", "mempolicy") and zones and mems_allowed:
        nodes = parse_nodes(mems_allowed)
        return sum(zone.values.get("present", 0) for zone in zones if zone.node in nodes) // page_kb + swap
    return None


def _of_cgroup(cgroup: tuple[CgroupUsage, ...], page_kb: int) -> int | None:
    counters = {usage.name: usage for usage in cgroup}
    memory = counters.get("memory")
    if memory is None or memory.limit_kb is None:
        return None
    limit = memory.limit_kb
    both, swap = counters.get("memory+swap"), counters.get("swap")
    if swap is not None:  # cgroup v2
        if swap.limit_kb is None:
            return None  # the machine's swap is the limit, and a cgroup's report does not show its size
        return (limit + swap.limit_kb) // page_kb
    if both is not None:  # cgroup v1
        return None if both.limit_kb is None else max(both.limit_kb, limit) // page_kb
    return limit // page_kb


def parse_nodes(text: str) -> frozenset[int]:
    """Return the nodes of a list such as `0-1,3` (printk's %*pbl)."""
    nodes: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and (not last or last.isdecimal()) and len(nodes) < MOST_NODES:
            nodes.update(range(int(first), min(int(last or first), int(first) + MOST_NODES) + 1))
    return frozenset(nodes)
