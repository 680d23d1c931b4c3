# SPDX-License-Identifier: MIT
"""The tasks of an OOM report ranked by badness, and how exact that ranking is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["Candidate", "candidates", "rss_slack"]

PAGE = 4096

# NR_MM_COUNTERS in include/linux/mm_types_task.h: MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES.
COUNTERS = 4
# Up to 6.1 each thread may cache this many RSS events before they are added to the mm (TASK_RSS_EVENTS_THRESH,
# mm/memory.c).
TASK_EVENTS = 64


@dataclass(frozen=True)
class Candidate:
    """A task as the OOM killer scored it.

    rss, swap, page_tables: pages.
    points: badness in pages; None for a task that is never chosen (oom_score_adj -1000).
    """

    pid: int
    name: str
    points: int | None
    rss: int
    swap: int
    page_tables: int
    oom_score_adj: int


def candidates(oom: OomEvent, total_pages: int | None) -> tuple[Candidate, ...]:
    """Return the tasks of an OOM report, highest badness first.

    total_pages: `totalpages` of oom_badness() (mm/oom_kill.c), used where it cannot be derived from the report.
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
    """Return by how many pages the ranking may differ from the task table, which is printed after the choice.

    Since 6.2 (f1a7941243c1) the counters are per-CPU, and each CPU may cache a batch of max(32, 2 * CPUs) pages
    (lib/percpu_counter.c). Before, each thread cached up to 64 events. Since 7.0 (5898aa8f9a0b) the OOM killer adds
    what the CPUs cache. Tasks on other CPUs may still get pages between the choice and the table: the bound stays.
    """
    batch = TASK_EVENTS if kernel < (6, 2) else max(32, 2 * cpus) * cpus
    return COUNTERS * batch
