# SPDX-License-Identifier: MIT
"""The content of a guest's memory at one stop point of a run, as `rig post-mortem --json` prints it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "Allocation",
    "ArrayPages",
    "Disagreement",
    "PageRun",
    "PostMortem",
    "StackFrame",
    "TaskMemory",
    "ZoneState",
]

PageState = Literal["shared", "own", "swapped", "absent"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class StackFrame(Model):
    """One frame of a stack trace. inlined: the function was inlined into its caller, the next frame."""

    function: str
    inlined: bool = False
    file: str = ""
    line: int | None = None


class Allocation(Model):
    """The failed allocation and the chosen victim: struct oom_control (include/linux/oom.h). Sizes are in pages.

    highest_zone: index of the highest zone that the allocation may use (highest_zoneidx of struct alloc_context,
    mm/internal.h), or None where it is not known.
    """

    gfp_mask: int
    order: int
    constraint: str
    memcg: str | None = None
    memcg_usage: int | None = None
    memcg_limit: int | None = None
    total_pages: int
    highest_zone: int | None = None
    chosen_pid: int | None = None
    chosen: str = ""
    chosen_points: int | None = None


class ZoneState(Model):
    """A zone's free pages and watermarks, in pages. The watermarks include watermark_boost, as wmark_pages() does.

    index: the zone's index in its node (enum zone_type).
    lowmem_reserve: by zone index, the pages that this zone keeps from allocations that may use that zone.
    """

    node: int
    name: str
    free: int
    min: int
    low: int
    high: int
    managed: int
    present: int
    index: int = 0
    lowmem_reserve: tuple[int, ...] = ()

    def reserve_for(self, highest_zone: int) -> int:
        """Return the reserve in pages for an allocation that may use zones up to that one (__zone_watermark_ok())."""
        return self.lowmem_reserve[highest_zone] if highest_zone < len(self.lowmem_reserve) else 0


class TaskMemory(Model):
    """A process and its memory by type, in pages; the page tables are in bytes."""

    pid: int
    name: str
    state: str
    anon: int
    file: int
    shmem: int
    swap: int
    page_tables_bytes: int
    oom_score_adj: int

    @property
    def rss(self) -> int:
        """Return the resident pages, as get_mm_rss() counts them (include/linux/mm.h)."""
        return self.anon + self.file + self.shmem


class PageRun(Model):
    """Consecutive pages of an array with the same state.

    first: index of the first page in the array.
    states: state of the pages in each process, in the order of ArrayPages.pids.
    groups: for each frame, the pids that map it; empty where the frames are not known.
    map_count: page table entries that map the frame; None if the processes' frames differ in it, for huge pages, and
    where no page is present.
    """

    first: int
    count: int
    states: tuple[PageState, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    map_count: int | None = None


class ArrayPages(Model):
    """The pages of an array that a program announced, in each process that maps it.

    frames: page frame numbers per process, 0 for an absent page; empty unless frames were requested.
    """

    name: str
    start: int
    length: int
    page_size: int
    pids: tuple[int, ...]
    names: tuple[str, ...]
    runs: tuple[PageRun, ...]
    label: str = ""
    time: float | None = None
    """Guest seconds at which the agent took the page map; None for pages read from a memory dump."""
    frames: tuple[tuple[int, ...], ...] = ()

    def count(self, process: int, state: PageState) -> int:
        """Return how many pages of a process are in a state. process: index in pids."""
        return sum(run.count for run in self.runs if run.states[process] == state)


class Disagreement(Model):
    """A number that differs between the guest's memory and the OOM report of the same run."""

    what: str
    report: str
    memory: str


class PostMortem(Model):
    """A whole post-mortem.

    source: `memory` (read from a dump with debug symbols) or `records` (the kernel log and the agent's records).
    """

    run: str
    at: str
    source: Literal["memory", "records"]
    notes: tuple[str, ...] = ()
    instruction: int | None = None
    kernel: str = ""
    task_pid: int | None = None
    task: str = ""
    stack: tuple[StackFrame, ...] = ()
    allocation: Allocation | None = None
    zones: tuple[ZoneState, ...] = ()
    tasks: tuple[TaskMemory, ...] = ()
    arrays: tuple[ArrayPages, ...] = ()
    compared: int = 0
    """Count of the numbers that were compared with the OOM report."""
    disagreements: tuple[Disagreement, ...] = ()
