# SPDX-License-Identifier: MIT
"""Compare every number that both the guest's memory and the kernel's OOM report of the same run hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rig.run.postmortem import Allocation, Disagreement, TaskMemory, ZoneState

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["compare"]

Pair = tuple[str, object, object]
PAGE_KB = 4


def compare(
    report: OomEvent,
    allocation: Allocation | None,
    zones: tuple[ZoneState, ...],
    tasks: tuple[TaskMemory, ...],
    task_pid: int | None,
) -> tuple[int, tuple[Disagreement, ...]]:
    """Return how many numbers were compared, and those that differ. A number that one side lacks is not compared."""
    pairs = [*_allocation(report, allocation, task_pid), *_zones(report, zones), *_tasks(report, tasks)]
    pairs = [pair for pair in pairs if pair[1] is not None and pair[2] is not None]
    return len(pairs), tuple(
        Disagreement(what=what, report=str(reported), memory=str(found))
        for what, reported, found in pairs
        if reported != found
    )


def _allocation(report: OomEvent, allocation: Allocation | None, task_pid: int | None) -> Iterator[Pair]:
    if report.invoker is not None:
        yield "the invoker's pid", report.invoker.pid, task_pid
    if allocation is None:
        return
    yield "gfp_mask", report.gfp_mask, allocation.gfp_mask
    yield "order", report.order, allocation.order
    yield "constraint", report.constraint, allocation.constraint
    yield "pages in all", report.totalpages, allocation.total_pages
    if report.kills:
        yield "the victim's pid", report.kills[0].pid, allocation.chosen_pid


def _zones(report: OomEvent, zones: tuple[ZoneState, ...]) -> Iterator[Pair]:
    found = {(zone.node, zone.name): zone for zone in zones}
    for reported in report.zones:
        zone = found.get((reported.node, reported.name))
        if zone is None:
            continue
        for name in ("free", "min", "low", "high"):
            yield f"{reported.name} {name}, kB", getattr(reported, name), getattr(zone, name) * PAGE_KB
        for name in ("present", "managed"):
            yield f"{reported.name} {name}, kB", reported.values.get(name), getattr(zone, name) * PAGE_KB
        for index, reserve in enumerate(reported.lowmem_reserve):
            yield f"{reported.name} lowmem_reserve[{index}], pages", reserve, zone.reserve_for(index)


def _tasks(report: OomEvent, tasks: tuple[TaskMemory, ...]) -> Iterator[Pair]:
    found = {task.pid: task for task in tasks}
    for row in report.tasks:
        task = found.get(row.pid)
        if task is None:
            yield f"process {row.pid}", row.name, "is not there"
            continue
        who = f"{row.name} ({row.pid})"
        yield f"{who} rss, pages", row.rss, task.rss
        yield f"{who} anonymous, pages", row.rss_anon, task.anon
        yield f"{who} file, pages", row.rss_file, task.file
        yield f"{who} shmem, pages", row.rss_shmem, task.shmem
        yield f"{who} swap entries", row.swapents, task.swap
        yield f"{who} page tables, bytes", row.pgtables_bytes, task.page_tables_bytes
        yield f"{who} oom_score_adj", row.oom_score_adj, task.oom_score_adj
