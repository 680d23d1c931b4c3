# SPDX-License-Identifier: MIT
"""The OOM killer's choice, ranked: who of a report's task table was worst, and how exact that order is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["Candidate", "candidates", "rss_slack"]

PAGE = 4096

# A task's resident pages are counters of file, anonymous, swapped and shared memory (enum in
# include/linux/mm_types_task.h).
COUNTERS = 4
# Up to 6.1 each thread may hold back that many events (TASK_RSS_EVENTS_THRESH, mm/memory.c).
TASK_EVENTS = 64


@dataclass(frozen=True)
class Candidate:
    """A task as the OOM killer saw it. points, rss, swap and page_tables in pages.

    points is None for a task that is never chosen (oom_score_adj -1000).
    """

    pid: int
    name: str
    points: int | None
    rss: int
    swap: int
    page_tables: int
    oom_score_adj: int


def candidates(oom: OomEvent, total_pages: int | None) -> tuple[Candidate, ...]:
    """Return the tasks of an OOM report, worst first.

    total_pages is what oom_score_adj is weighed against where the report itself does not tell.
    """
    from rig.klog.oom.badness import badness, page_table_pages

    weighed = oom.totalpages if oom.totalpages is not None else total_pages
    rows = [
        Candidate(
            pid=task.pid,
            name=task.name,
            points=badness(task, weighed, page_kb=oom.page_kb),
            rss=task.rss,
            swap=task.swapents or 0,
            page_tables=page_table_pages(task, oom.page_kb),
            oom_score_adj=task.oom_score_adj or 0,
        )
        for task in oom.tasks
    ]
    return tuple(sorted(rows, key=lambda row: (row.points is None, -(row.points or 0), row.pid)))


def rss_slack(kernel: tuple[int, int], cpus: int) -> int:
    """Return by how many pages the ranking may differ from the task table that was printed after it.

    From 6.2 (f1a7941243c1) the counters are per-CPU, and each CPU may hold back a batch of max(32, 2 * CPUs)
    (lib/percpu_counter.c). Before, each thread held back up to 64 events.
    """
    batch = TASK_EVENTS if kernel < (6, 2) else max(32, 2 * cpus) * cpus
    return COUNTERS * batch
