# SPDX-License-Identifier: MIT
"""The OOM killer's choice, recomputed: oom_badness() in mm/oom_kill.c."""

from __future__ import annotations

import re

from rig.klog.oom.parts import TaskRow

__all__ = ["OOM_SCORE_ADJ_MIN", "badness", "page_table_pages", "root_bonus"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
OOM_SCORE_ADJ_MIN = -1000  # include/uapi/linux/oom.h


def root_bonus(kernel: str | None) -> str:
    """Return what a kernel takes off for tasks with CAP_SYS_ADMIN: `memory`, `own`, `older`, or nothing.

    `memory`: 3 % of all memory, 2.6.36 to 3.13 (a63d83f427fb), and Red Hat's 2.6.32 of el6. `own`: 3 % of the task's
    own points, 3.14 to 4.16 (778c14affaf9, d46078b28889). `older`: the kernel scores in another way altogether.
    """
    version = _VERSION.search(kernel or "")
    if version is None:
        return ""
    numbers = (int(version[1]), int(version[2]), int(version[3] or 0))
    if numbers < (2, 6, 36):
        return "memory" if ".el6" in (kernel or "") else "older"
    if numbers < (3, 14, 0):
        return "memory"
    return "own" if numbers < (4, 17, 0) else ""


def badness(row: TaskRow, totalpages: int | None, *, page_kb: int = 4, bonus: str = "") -> int | None:
    """Return the points of a task-table row in pages; None for a task that is never chosen.

    points = rss + swapents + page tables + oom_score_adj * (totalpages / 1000). bonus: what root_bonus() returns; the
    table does not show capabilities, so uid 0 stands for CAP_SYS_ADMIN. totalpages may be None only where neither
    oom_score_adj nor the bonus is weighed against it; otherwise the points cannot be derived and None is returned.
    """
    if row.oom_score_adj == OOM_SCORE_ADJ_MIN:
        return None
    points = row.rss + (row.swapents or 0) + page_table_pages(row, page_kb)
    adj = row.oom_score_adj or 0
    if row.uid == 0 and bonus == "own":
        points -= points * 3 // 100
    if row.uid == 0 and bonus == "memory":
        adj -= 30
    if adj:
        if totalpages is None:
            return None
        points += adj * (totalpages // 1000)  # the kernel divides first, in pages
    return max(points, 1) if bonus == "memory" else points


def page_table_pages(row: TaskRow, page_kb: int) -> int:
    """Return pages of page tables: bytes since 4.15, counts of tables before."""
    if row.pgtables_bytes is not None:
        return row.pgtables_bytes // (page_kb * 1024)
    return row.extra.get("nr_ptes", 0) + row.extra.get("nr_pmds", 0)
