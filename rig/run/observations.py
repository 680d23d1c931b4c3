# SPDX-License-Identifier: MIT
"""The part of run.json that says what was observed: records, kernel events, OOM reports, steps and stalls."""

from __future__ import annotations

from typing import Literal

from rig.run.document_model import Many, Model

__all__ = ["Collected", "EventSummary", "Footprint", "Frame", "OomReport", "Ranked", "Stall", "StepResult"]


class Footprint(Model):
    """The agent's own memory use in the guest, in kB."""

    agent_rss_kb: int | None = None
    agent_rss_at_end_kb: int | None = None
    mem_total_kb: int | None = None
    mem_free_kb: int | None = None
    mem_available_kb: int | None = None


class Collected(Model):
    """How many of the agent's records were collected, lost and unreadable."""

    records: int = 0
    samples: int = 0
    lost: int = 0
    bad_lines: int = 0
    cut_lines: int = 0
    """Lines of programs that were longer than a record holds, 4,096 bytes, and are cut there."""
    problems: Many[str] = ()
    cut: bool = False


class Frame(Model):
    """One frame of a trace. role: the function's part (rig.klog.functions); empty where it has none."""

    function: str
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    reliable: bool = True
    role: str = ""


class Ranked(Model):
    """A task of an OOM report, ranked by badness.

    Counts are in pages.
    points: None for a task that the OOM killer never chooses.
    """

    pid: int
    name: str
    points: int | None
    rss: int
    swap: int
    page_tables: int
    oom_score_adj: int
    killed: bool = False
    tied: bool = False
    ours: bool = False
    """Whether the task is a process of the scenario."""


class OomReport(Model):
    """An OOM report of the kernel: the failed allocation, the state of memory, and the victims."""

    time: float | None = None
    line: int | None = None
    invoker: str = ""
    invoker_pid: int | None = None
    gfp_flags: Many[str] = ()
    order: int | None = None
    scope: str = "global"
    constraint: str | None = None
    frames: Many[Frame] = ()
    free_kb: int | None = None
    min_kb: int | None = None
    ranking: Many[Ranked] = ()
    slack_pages: int = 0
    killed: Many[str] = ()
    """`name (pid)` of each task that was killed."""

    @property
    def victims(self) -> str:
        """Who was killed, by name, and who might as well have been: `child, in a tie with hog`. `nobody` for none."""
        killed = ", ".join(name.rsplit(" (", 1)[0] for name in self.killed) or "nobody"
        return f"{killed}, in a tie with {' and '.join(self.tied_with)}" if self.tied_with else killed

    @property
    def tied_with(self) -> list[str]:
        """The names of the tasks that might as well have been killed; none where the victim had the highest badness."""
        if not any(row.killed and row.tied for row in self.ranking):
            return []
        return sorted(row.name for row in self.ranking if row.tied and not row.killed)


class EventSummary(Model):
    """An event of the kernel log, as one line."""

    kind: str
    time: float | None = None
    line: int | None = None
    last_line: int | None = None
    summary: str = ""


class StepResult(Model):
    """A step of the plan that was started."""

    index: int
    verb: str
    ok: bool
    time: float | None = None
    took: float | None = None
    error: str = ""
    saw: str = ""


class Stall(Model):
    """A span in which programs made no progress because they waited for memory.

    Times are guest seconds.
    share: the fraction of the span that was lost to the wait.
    by: what showed it: PSI of memory, PSI of I/O, or the agent's heartbeat.
    who: the comm of the processes that were found waiting most often; empty where none was.
    """

    begin: float
    length: float
    share: float
    cause: Literal["throttled", "thrashing", "swapping", "no-progress", "io"]
    by: Literal["memory pressure", "I/O pressure", "heartbeat"] = "memory pressure"
    who: str = ""
