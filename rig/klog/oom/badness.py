# SPDX-License-Identifier: MIT
"""Recompute the points by which the OOM killer chooses: oom_badness() in mm/oom_kill.c."""

from __future__ import annotations

import re

from rig.klog.oom.parts import TaskRow

__all__ = ["OOM_SCORE_ADJ_MIN", "badness", "page_table_pages", "root_bonus"]

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
OOM_SCORE_ADJ_MIN = -1000  # include/uapi/linux/oom.h


def root_bonus(kernel: str | None) -> str:
    """Return what the kernel subtracts from the points of a task with CAP_SYS_ADMIN.

    `memory`: 3 % of all memory, 2.6.36 to 3.13 (a63d83f427fb), and RHEL 6's 2.6.32.
    `own`: 3 % of the task's own points, 3.14 to 4.16 (778c14affaf9, d46078b28889).
    `older`: the kernel is older than 2.6.36 and computes its points by another formula.
    Empty: nothing is subtracted, since 4.17, or the kernel's version is unknown.
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

    points = rss + swapents + page tables + oom_score_adj * (totalpages / 1000)

    totalpages: what totalpages.derive() returns. None is returned as well if totalpages is needed but unknown:
        only oom_score_adj and the bonus `memory` depend on it.
    page_kb: size of a page in kB.
    bonus: what root_bonus() returns. The table does not show capabilities, so uid 0 stands for CAP_SYS_ADMIN.
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
    """Return a row's page tables in pages. The kernel prints bytes since 4.15, and counts of tables before."""
    if row.pgtables_bytes is not None:
        return row.pgtables_bytes // (page_kb * 1024)
    return row.extra.get("nr_ptes", 0) + row.extra.get("nr_pmds", 0)
