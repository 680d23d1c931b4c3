# SPDX-License-Identifier: MIT
"""Derive the size of a page from figures that a report prints both in pages and in kB."""

from __future__ import annotations

from collections import Counter

from rig.klog.oom.parts import Node, TaskRow, Zone

__all__ = ["page_size_kb"]

_SIZES = (4, 8, 16, 64, 256)  # kB, from the page shifts of arch/*/include/asm/page.h
# Counters that nodes print in kB and Mem-Info in pages, and that are not rounded (mm/show_mem.c).
_SHARED = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable", "mapped", "dirty", "shmem",
           "pagetables")  # fmt: skip


def page_size_kb(
    counters: dict[str, int], nodes: tuple[Node, ...], zones: tuple[Zone, ...], tasks: tuple[TaskRow, ...]
) -> int:
    """Return the size of a page in kB.

    The sources are, in this order: the smallest block of a buddy list, the counters that are printed in both units,
    the sizes of the tasks' page tables. 4 where the report holds none of them.
    """
    for zone in zones:
        if zone.buddy:
            return zone.buddy[0].size_kb
    votes: Counter[int] = Counter()
    for key in _SHARED:
        pages, kb = counters.get(key, 0), sum(node.values.get(key, 0) for node in nodes)
        if pages >= 8 and kb:
            votes[_nearest(kb / pages)] += 1
    pages, kb = counters.get("free", 0), sum(zone.free for zone in zones)
    if pages and kb:
        votes[_nearest(kb / pages)] += 1
    if votes:
        return votes.most_common(1)[0][0]
    # A page table is at least one page: with pages of 64 kB every pgtables_bytes is a multiple of 64 kB.
    tables = [row.pgtables_bytes for row in tasks if row.pgtables_bytes]
    if len(tables) >= 4 and all(value % (64 * 1024) == 0 for value in tables):
        return 64
    return 4


def _nearest(ratio: float) -> int:
    return min(_SIZES, key=lambda size: abs(size - ratio) / size)
