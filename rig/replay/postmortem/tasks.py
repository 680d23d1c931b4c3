# SPDX-License-Identifier: MIT
"""Every process and its memory by type, from the counters that oom_badness() uses (mm/oom_kill.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rig.run.postmortem import TaskMemory

__all__ = ["counters", "read_tasks"]


def counters(mm: Any) -> dict[str, int]:
    """Return the pages of a struct mm_struct by type, as get_mm_counter() returns them (include/linux/mm.h).

    Up to 6.1 each counter is an atomic. Since 6.2 it is a percpu_counter, of which the OOM killer reads only the
    shared count, without the per-CPU batches.
    """
    program = mm.prog_
    kinds = {"file": "MM_FILEPAGES", "anon": "MM_ANONPAGES", "swap": "MM_SWAPENTS", "shmem": "MM_SHMEMPAGES"}
    stat = mm.rss_stat
    found = {}
    for name, constant in kinds.items():
        index = program.constant(constant)
        value = stat[index].count if _is_array(stat) else stat.count[index].counter
        found[name] = max(0, int(value))
    return found


def _is_array(stat: Any) -> bool:
    import drgn

    return bool(stat.type_.kind == drgn.TypeKind.ARRAY)


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
