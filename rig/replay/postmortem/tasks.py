# SPDX-License-Identifier: MIT
"""Every process and its memory by type, from the counters that oom_badness() uses (mm/oom_kill.c)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rig.run.postmortem import TaskMemory

__all__ = ["counters", "read_tasks"]


def counters(mm: Any) -> dict[str, int]:
    """Return the pages of a struct mm_struct by type, as dump_task() prints them (mm/oom_kill.c).

    Up to 6.1 each counter is an atomic. Since 6.2 (commit f1a7941243c1) it is a percpu_counter.
    """
    program = mm.prog_
    kinds = {"file": "MM_FILEPAGES", "anon": "MM_ANONPAGES", "swap": "MM_SWAPENTS", "shmem": "MM_SHMEMPAGES"}
    stat = mm.rss_stat
    read = _reader(program, stat)
    return {name: max(0, read(stat, program.constant(constant))) for name, constant in kinds.items()}


def _reader(program: Any, stat: Any) -> Callable[[Any, Any], int]:
    """Return the function that reads one counter of rss_stat as this kernel's OOM killer does."""
    import drgn

    if stat.type_.kind != drgn.TypeKind.ARRAY:
        return lambda stat, index: int(stat.count[index].counter)
    if _oom_killer_sums(program):
        from drgn.helpers.linux.percpu import percpu_counter_sum

        return lambda stat, index: int(percpu_counter_sum(stat[index].address_of_()))
    return lambda stat, index: int(stat[index].count)


def _oom_killer_sums(program: Any) -> bool:
    """Return whether the OOM killer adds what each CPU holds back of a counter.

    It does since 7.0 (commit 5898aa8f9a0b, which added get_mm_rss_sum() to include/linux/mm.h for mm/oom_kill.c). That
    commit is marked as a fix, so a stable kernel may have it too: the function decides, not the release.
    """
    try:
        program.function("get_mm_rss_sum")
    except LookupError:
        return False
    return True


def read_tasks(program: Any) -> tuple[TaskMemory, ...]:
    """Return the processes that have an mm, ordered by pid; kernel threads have none."""
    return tuple(_tasks(program))


def _tasks(program: Any) -> Iterator[TaskMemory]:
    from drgn.helpers.linux.pid import for_each_task
    from drgn.helpers.linux.sched import task_state_to_char

    for task in for_each_task(program):
        if task.pid != task.tgid or not task.mm:
            continue
        yield TaskMemory(
            pid=int(task.pid),
            name=task.comm.string_().decode(errors="replace"),
            state=task_state_to_char(task),
            page_tables_bytes=int(task.mm.pgtables_bytes.counter),
            oom_score_adj=int(task.signal.oom_score_adj),
            **counters(task.mm),
        )
