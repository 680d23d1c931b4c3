# SPDX-License-Identifier: MIT
"""The OOM killer's choice, recomputed: oom_badness() in mm/oom_kill.c."""

from __future__ import annotations

from rig.klog.oom.parts import TaskRow

__all__ = ["OOM_SCORE_ADJ_MIN", "badness"]

OOM_SCORE_ADJ_MIN = -1000  # include/uapi/linux/oom.h


def badness(row: TaskRow, totalpages: int | None, *, page_kb: int = 4) -> int | None:
    """Return the points of a task-table row in pages; None for a task that is never chosen.

    points = rss + swapents + page tables + oom_score_adj * (totalpages / 1000), since 4.17 (before, tasks
    with CAP_SYS_ADMIN got 3 % off, which a log does not show). totalpages may be None only where
    oom_score_adj is 0; otherwise the points cannot be derived and None is returned.
    """
    if row.oom_score_adj == OOM_SCORE_ADJ_MIN:
        return None
    points = row.rss + (row.swapents or 0) + page_table_pages(row, page_kb)
    if row.oom_score_adj:
        if totalpages is None:
            return None
        points += row.oom_score_adj * (totalpages // 1000)  # the kernel divides first, in pages
    return points


def page_table_pages(row: TaskRow, page_kb: int) -> int:
    """Return pages of page tables: bytes since 4.15, counts of tables before."""
    if row.pgtables_bytes is not None:
        return row.pgtables_bytes // (page_kb * 1024)
    return row.extra.get("nr_ptes", 0) + row.extra.get("nr_pmds", 0)
