# SPDX-License-Identifier: MIT
"""What a guest's memory held at one instant of a run, as `rig post-mortem --json` gives it."""

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
    """One frame, innermost first. inlined: it has no stack frame of its own."""

    function: str
    inlined: bool = False
    file: str = ""
    line: int | None = None


class Allocation(Model):
    """struct oom_control (include/linux/oom.h): what was asked for, and whom the killer had chosen. Sizes in pages.

    highest_zone: index of the highest zone that the allocation may use (struct alloc_context), None where it is not
    known.
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
    """A zone's free pages and its watermarks (boost included, as the kernel compares them), in pages.

    index: its place among its node's zones; lowmem_reserve: by zone, what it holds back from allocations that may use
    that one.
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
        """Return what it holds back from an allocation that may use zones up to that one (__zone_watermark_ok())."""
        return self.lowmem_reserve[highest_zone] if highest_zone < len(self.lowmem_reserve) else 0


class TaskMemory(Model):
    """A process and its memory by kind: pages, and bytes of page tables."""

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
        """Resident pages, as get_mm_rss() counts them."""
        return self.anon + self.file + self.shmem


class PageRun(Model):
    """Neighbouring pages of an array that are alike. first: index in the array.

    states: per process of the array, in their order; groups: pids that map one frame together, one group a frame;
    empty where the frames are not known. map_count: how many page table entries map the frame, None where the processes
    differ, for huge pages, and where no page is present.
    """

    first: int
    count: int
    states: tuple[PageState, ...]
    groups: tuple[tuple[int, ...], ...] = ()
    map_count: int | None = None


class ArrayPages(Model):
    """An array that a program named, in each process that has it.

    frames: page frame numbers per process, 0 where none is present; only where they were asked for.
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
    """Of the guest's clock, where the guest looked itself."""
    frames: tuple[tuple[int, ...], ...] = ()

    def count(self, process: int, state: PageState) -> int:
        """Return how many pages of the process (index in pids) are in that state."""
        return sum(run.count for run in self.runs if run.states[process] == state)


class Disagreement(Model):
    """A number that the memory and the OOM report of the same run give differently."""

    what: str
    report: str
    memory: str


class PostMortem(Model):
    """The whole. source: `memory` (replayed and read), or `records` (the guest's own words, without symbols)."""

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
    """How many numbers were compared with the OOM report."""
    disagreements: tuple[Disagreement, ...] = ()
