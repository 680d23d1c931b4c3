"""What the guest said itself, for a post-mortem without symbols: the report's task table, and /proc/PID/pagemap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rig.run.postmortem import ArrayPages, PageRun, PageState, TaskMemory
from rig.run.records import Record

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["arrays_said", "tasks_said"]

# States of guest/agent/PROTOCOL.md. A page that was only read is the shared zero page, and so nobody's copy.
STATES: dict[str, PageState] = {
    "none": "absent", "zero": "absent", "shared": "shared", "private": "own", "file": "shared", "swap": "swapped",
}  # fmt: skip


def tasks_said(report: OomEvent) -> tuple[TaskMemory, ...]:
    """Return the rows of an OOM report's task table. Before 6.8 it gives the resident pages in one number."""
    return tuple(
        TaskMemory(
            pid=row.pid,
            name=row.name,
            state="?",
            anon=row.rss if row.rss_anon is None else row.rss_anon,
            file=row.rss_file or 0,
            shmem=row.rss_shmem or 0,
            swap=row.swapents or 0,
            page_tables_bytes=row.pgtables_bytes or 0,
            oom_score_adj=row.oom_score_adj or 0,
        )
        for row in report.tasks
    )


def arrays_said(records: Iterable[Record]) -> tuple[ArrayPages, ...]:
    """Return the last page map of each process's array, one process each: who shares with whom is not in it."""
    pieces: dict[tuple[int, str], list[Record]] = {}
    for record in records:
        key = (int(record.get("pid") or 0), str(record.get("label") or ""))
        if pieces.get(key) and pieces[key][-1].get("last", True):
            pieces[key] = []
        pieces.setdefault(key, []).append(record)
    last = {pid: (label, maps) for (pid, label), maps in pieces.items()}
    return tuple(_array(pid, label, maps) for pid, (label, maps) in last.items())


def _array(pid: int, label: str, maps: list[Record]) -> ArrayPages:
    runs: list[PageRun] = []
    first = 0
    for record in maps:
        for count, state in record.get("runs") or ():
            runs.append(PageRun(first=first, count=int(count), states=(STATES.get(str(state), "absent"),)))
            first += int(count)
    size = int(maps[0].get("page_size") or 4096)
    return ArrayPages(
        name=str(maps[0].get("program") or ""),
        start=int(str(maps[0].get("start") or "0"), 16),
        length=first * size,
        page_size=size,
        pids=(pid,),
        names=(str(maps[0].get("comm") or maps[0].get("program") or ""),),
        runs=tuple(runs),
        label=label,
    )
