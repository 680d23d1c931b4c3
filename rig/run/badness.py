"""Who the kernel should have killed: its badness, from the task table of an OOM report.

oom_badness() in mm/oom_kill.c: a task's points are its resident pages, its swapped-out pages and the pages of its
page tables, plus oom_score_adj thousandths of all memory the OOM was about; -1000 exempts it. The largest wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["Candidate", "TaskRow", "candidates", "rss_slack", "total_pages"]

OOM_SCORE_ADJ_MIN = -1000
PAGE = 4096

# A task's resident pages are four counters: file, anonymous, swap and shared memory (enum in
# include/linux/mm_types_task.h). What the kernel reads when it ranks may lag behind what each has.
COUNTERS = 4
# Up to 6.1 each thread may hold back that many events a counter (TASK_RSS_EVENTS_THRESH, mm/memory.c).
TASK_EVENTS = 64


class TaskRow(Protocol):
    """What is used of a row of the task table. rss and swapents in pages, pgtables_bytes in bytes."""

    @property
    def pid(self) -> int: ...
    @property
    def tgid(self) -> int: ...
    @property
    def rss(self) -> int: ...
    @property
    def swapents(self) -> int: ...
    @property
    def pgtables_bytes(self) -> int: ...
    @property
    def oom_score_adj(self) -> int: ...
    @property
    def name(self) -> str: ...


@dataclass(frozen=True)
class Candidate:
    """A task as the OOM killer saw it. points in pages; None: exempt by oom_score_adj -1000."""

    pid: int
    name: str
    points: int | None
    rss: int
    swap: int
    page_tables: int
    oom_score_adj: int


def candidates(tasks: Iterable[TaskRow], total: int) -> tuple[Candidate, ...]:
    """Return the tasks of an OOM report, worst first; total is the memory in question in pages.

    oom_badness() adds `adj * (totalpages / 1000)` in whole numbers.
    """
    rows = [_candidate(task, total) for task in tasks]
    return tuple(sorted(rows, key=lambda row: (row.points is None, -(row.points or 0), row.pid)))


def _candidate(task: TaskRow, total: int) -> Candidate:
    page_tables = task.pgtables_bytes // PAGE
    points = task.rss + task.swapents + page_tables + task.oom_score_adj * (total // 1000)
    return Candidate(
        pid=task.pid,
        name=task.name,
        points=None if task.oom_score_adj == OOM_SCORE_ADJ_MIN else points,
        rss=task.rss,
        swap=task.swapents,
        page_tables=page_tables,
        oom_score_adj=task.oom_score_adj,
    )


def total_pages(oom: OomEvent, mem_total_kb: int | None, swap_total_kb: int | None) -> int:
    """Return the pages that thousandths are taken of (constrained_alloc(), mm/oom_kill.c).

    All memory and swap for a global OOM; the group's limit for one in a memory cgroup, where the report has it.
    """
    limit = getattr(oom, "memcg_limit_kb", None)
    if getattr(oom, "scope", "global") == "memcg" and isinstance(limit, int):
        return limit * 1024 // PAGE
    return ((mem_total_kb or 0) + (swap_total_kb or 0)) * 1024 // PAGE


def rss_slack(kernel: tuple[int, int], cpus: int) -> int:
    """Return by how many pages the ranking may differ from the task table that was printed after it.

    From 6.2 (f1a7941243c1) the counters are per-CPU: each CPU may hold back a batch, max(32, 2 * CPUs) of
    lib/percpu_counter.c. Before, each thread held back up to 64 events a counter.
    """
    batch = TASK_EVENTS if kernel < (6, 2) else max(32, 2 * cpus) * cpus
    return COUNTERS * batch
