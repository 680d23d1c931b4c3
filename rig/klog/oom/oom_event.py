# SPDX-License-Identifier: MIT
"""OomEvent: an OOM report with every part that mm/oom_kill.c and mm/show_mem.c print."""

from __future__ import annotations

from dataclasses import dataclass, field

from rig.klog.event import Event, Task, TextLine
from rig.klog.kinds import Kind
from rig.klog.oom.badness import badness, root_bonus
from rig.klog.oom.parts import AllocationSite, CgroupUsage, HugePages, Kill, Node, Reaped, SlabRow, TaskRow, Zone

__all__ = ["OomEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OomEvent(Event):
    """One OOM report, from the invocation to the last kill.

    gfp_flags: the names of the flags in gfp_mask; empty where the kernel printed only a mask, of a layout unknown here.
    gfp_decoded: whether the kernel printed only the mask, so that the names come from decode().
    scope: `global`, `memcg`, `cpuset`, `mempolicy`, `sysrq`, or None where the log does not show it.
    mem_info: the counters of Mem-Info, in pages.
    totalpages: the pages that oom_score_adj is a share of (constrained_alloc() in mm/oom_kill.c); None where the log
        lacks the figures.
    page_kb: size of a page in kB.
    old: whether the report is of a kernel before 2.6.32, whose form is read only in part.
    killable: False after `no killable processes`.
    panicked: whether the kernel panicked over it, for vm.panic_on_oom or because nobody could be killed.
    *_line, *_lines: the line of the input that holds the figure, from 1.
    """

    kind: Kind = Kind.OOM
    invoker: Task | None = None
    gfp_mask: int | None = None
    gfp_flags: tuple[str, ...] = ()
    gfp_decoded: bool = False
    order: int | None = None
    oom_score_adj: int | None = None
    oom_adj: int | None = None
    nodemask: str | None = None
    cpuset: str | None = None
    mems_allowed: str | None = None
    constraint: str | None = None
    constraint_line: int | None = None
    constraint_values: dict[str, str] = field(default_factory=dict)
    scope: str | None = None
    oom_memcg: str | None = None
    task_memcg: str | None = None
    workqueue: str | None = None
    mem_info: dict[str, int] = field(default_factory=dict)
    mem_info_line: int | None = None
    mem_info_lines: dict[str, int] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    zones: tuple[Zone, ...] = ()
    hugepages: tuple[HugePages, ...] = ()
    totals: dict[str, int] = field(default_factory=dict)
    totals_lines: dict[str, int] = field(default_factory=dict)
    slabs: tuple[SlabRow, ...] = ()
    allocations: tuple[AllocationSite, ...] = ()
    cgroup: tuple[CgroupUsage, ...] = ()
    cgroup_path: str | None = None
    cgroup_stats: dict[str, int] = field(default_factory=dict)
    cgroup_stats_line: int | None = None
    cgroup_protection: dict[str, int] = field(default_factory=dict)
    tasks: tuple[TaskRow, ...] = ()
    task_columns: tuple[str, ...] = ()
    tasks_line: int | None = None
    page_kb: int = 4
    totalpages: int | None = None
    kills: tuple[Kill, ...] = ()
    killable: bool = True
    panicked: bool = False
    old: bool = False
    oom_group: bool = False
    reaped: tuple[Reaped, ...] = ()
    notes: tuple[TextLine, ...] = ()

    @property
    def victim(self) -> Kill | None:
        """The first process that was killed, or None."""
        return self.kills[0] if self.kills else None

    def badness(self, row: TaskRow) -> int | None:
        """Return the row's points in pages, as oom_badness() computes them.

        None for a task that is never chosen, and where the log lacks the figures.
        """
        return badness(row, self.totalpages, page_kb=self.page_kb, bonus=root_bonus(self.kernel))
