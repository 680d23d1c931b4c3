# SPDX-License-Identifier: MIT
"""A post-mortem without debug symbols: the OOM report's task table, and the agent's records of /proc/PID/pagemap."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rig.replay.stop_point import StopPoint
from rig.run.document import Run
from rig.run.postmortem import ArrayPages, PageRun, PageState, TaskMemory
from rig.run.records import Record, Records

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["arrays_recorded", "moment_of", "tasks_reported", "tasks_sampled"]

PAGE_KB = 4

# Maps the states of docs/reference/agent-protocol.md to those of a post-mortem. A page that was only read maps the
# shared zero page, so it is no copy of any process.
STATES: dict[str, PageState] = {
    "none": "absent", "zero": "absent", "shared": "shared", "merged": "shared", "private": "own", "kept": "own",
    "file": "shared", "swap": "swapped",
}  # fmt: skip


def tasks_reported(report: OomEvent) -> tuple[TaskMemory, ...]:
    """Return the rows of an OOM report's task table. Before 6.8 the table has one column for all resident pages."""
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


def moment_of(run: Run, point: StopPoint, records: Records) -> float | None:
    """Return the guest's clock at a stop point, from the kernel log and the records; None where neither has it."""
    if point.kind == "t":
        return point.seconds
    if point.kind == "oom":
        return run.ooms[0].time if run.ooms else None
    if point.kind == "mark":
        return next((float(each["t"]) for each in records.of("mark") if each.get("name") == point.name), None)
    if point.kind == "fork":
        child = str(run.roles.get("child", ""))
        said = (each for each in records.of("line") if str(each.get("text", "")).split() == ["forked", child])
        return next((float(each["t"]) for each in said), None)
    if not records.items:
        return None
    return float(records.items[0 if point.kind == "start" else -1]["t"])


def tasks_sampled(records: Records, moment: float) -> tuple[TaskMemory, ...]:
    """Return the scenario's processes from the sample nearest to that time, converted from kB to pages."""
    samples = records.of("sample")
    if not samples:
        return ()
    nearest = min(samples, key=lambda each: abs(float(each["t"]) - moment))
    return tuple(_sampled(each) for each in nearest.get("procs") or () if isinstance(each, dict))


def _sampled(process: Record) -> TaskMemory:
    def number(name: str) -> int:
        value = process.get(name)
        return value if isinstance(value, int) else 0

    return TaskMemory(
        pid=number("pid"),
        name=str(process.get("comm") or ""),
        state=str(process.get("state") or "?"),
        anon=number("anon_kb") // PAGE_KB,
        file=number("file_kb") // PAGE_KB,
        shmem=number("shmem_kb") // PAGE_KB,
        swap=number("swap_kb") // PAGE_KB,
        page_tables_bytes=number("pgtables_kb") << 10,
        oom_score_adj=number("oom_score_adj"),
    )


def arrays_recorded(records: Iterable[Record], moment: float) -> tuple[ArrayPages, ...]:
    """Return, for each process and array, the page map nearest to that time.

    Each result has one process, because the agent's page maps do not say which processes share a page.
    """
    maps: dict[int, list[list[Record]]] = {}
    going_on: dict[int, list[Record]] = {}
    for record in records:
        pid = int(record.get("pid") or 0)
        pieces = going_on.setdefault(pid, [])
        pieces.append(record)
        if record.get("last", True):
            maps.setdefault(pid, []).append(going_on.pop(pid))
    return tuple(
        _array(pid, min(every, key=lambda pieces: abs(float(pieces[-1].get("t") or 0) - moment)))
        for pid, every in maps.items()
    )


def _array(pid: int, maps: list[Record]) -> ArrayPages:
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
        label=str(maps[0].get("label") or ""),
        time=float(maps[-1].get("t") or 0),
    )
