# SPDX-License-Identifier: MIT
"""Collect the lines of one OOM report, and make its event when the report is complete."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from rig.klog.builder import Builder
from rig.klog.event import Event, Task, TextLine
from rig.klog.functions import part_of
from rig.klog.kinds import Kind
from rig.klog.oom import totalpages
from rig.klog.oom.gfp import decode
from rig.klog.oom.invocation import FAILURE_KEYWORDS, Invocation, read_cpuset, read_invocation
from rig.klog.oom.kill import is_whole_constraint, read_constraint, read_group, read_kill, read_reaped, read_score
from rig.klog.oom.memcg import CgroupReader
from rig.klog.oom.meminfo import MemInfoReader, is_whole_total
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.pagesize import page_size_kb
from rig.klog.oom.parts import Kill, Reaped, TaskRow
from rig.klog.oom.tasks import TaskTable, glued_rows, guessed_header, is_task_header
from rig.klog.prefix import Prefix

__all__ = ["KEYWORDS", "OomBuilder"]

# The words of lines that a report may begin with. A log may begin in the middle of a report, or with its last lines.
KEYWORDS = (
    "oom-kill",  # `invoked oom-killer`, `oom-kill:constraint=`
    "Mem-Info",
    "total_vm",  # the task table's header
    "illed process",  # Killed process; killed process
    "to be killed",  # Tasks in CGROUP are going to be killed due to memory.oom.group set
    "oom_reaper: ",
    *FAILURE_KEYWORDS,
)

_AFTER_KILL = 3  # lines after a kill that may still be its wrapped rest, or the first line of memory.oom.group's kills
_TABLE_TITLE = "Tasks state (memory values in pages):"
_NONE_KILLABLE = re.compile(r"(?:Memory cgroup out of memory|Out of memory and) ?:? ?no killable process")
_NOTES = re.compile(
    r"COMPACTION is disabled|Huh VM_FAULT_OOM leaked|.* is added to the oom list|OOM victim|oom killer "
    r"(?:disabled|enabled)|"
    r"Purging GPU memory|\d+ and \d+ pages still available|sysrq: OOM request ignored"
    # printk_deferred() prints it between any two lines (sched_rt_runtime_exceeded() in kernel/sched/rt.c).
    r"|sched: RT throttling activated"
)
_SCOPES = {
    "CONSTRAINT_NONE": "global",
    "CONSTRAINT_CPUSET": "cpuset",
    "CONSTRAINT_MEMORY_POLICY": "mempolicy",
    "CONSTRAINT_MEMCG": "memcg",
}


class OomBuilder(Builder):
    """Collect the lines of one report in any order: reports of several CPUs may be interleaved."""

    kind = Kind.OOM

    def __init__(self, line: int, prefix: Prefix) -> None:
        super().__init__(line, prefix)
        self.invocation: Invocation | None = None
        self.cpuset: tuple[str, str] | None = None
        self.memory = MemInfoReader()
        self.cgroup = CgroupReader()
        self.table: TaskTable | None = None
        self.tasks: list[TaskRow] = []
        self.tasks_line: int | None = None
        self.constraint: dict[str, str] | None = None
        self.constraint_line: int | None = None
        self.kills: list[Kill] = []
        self.reaped: list[Reaped] = []
        self.scored: tuple[str, int, str, int] | None = None
        self.killable = True
        self.panicked = False  # set by the assembler, which sees the panic
        self.old = False
        self.group: str | None = None
        self.notes: list[TextLine] = []
        self._in_table = False
        self._before = ("", 0)
        self._since_kill = 0

    def take_row(self, text: str, line: int) -> bool:
        """Read a line if it is a row of the task table that is being read. Return whether it was one."""
        if not text.startswith("["):
            return False
        if self.table is None and not self.kills:
            header = guessed_header(text)
            if header is not None:
                self.table, self._in_table = TaskTable(header), True
                self.corrupt("the task table's header is missing")
        if not self._in_table or self.table is None:
            return False
        rows = [self.table.read(part, line) for part in glued_rows(text)]
        found = [row for row in rows if row is not None]
        if not found or len(found) < len(rows):
            return False
        self.tasks += found
        self.last_line = line
        return True

    def take(self, text: str, line: int) -> bool:
        if self.take_row(text, line):
            return True
        text = text.rstrip()
        taken = self._take(text, line) or self._take_cut(text, line)
        if taken:
            self._before = (text, line)
        taken = taken or self._take_wrapped(text, line)
        if taken:
            self.last_line = line
        elif self._says_no_more():
            self.finished = True
        elif self.kills:
            self._since_kill += 1
            self.finished = self._since_kill > _AFTER_KILL
        return taken

    def _says_no_more(self) -> bool:
        """Return whether the last line of a Mem-Info without an OOM report was read."""
        return "pages_reserved" in self.memory.totals and not self._is_oom()

    def leave_unknown(self, text: str, line: int) -> None:
        if self.kills:
            return  # a line after the kill is not part of the report
        super().leave_unknown(text, line)
        self._before = (text.rstrip(), line)

    def _take_cut(self, text: str, line: int) -> bool:
        """Read a line that a pager cut at the terminal's width; less -S marks such a line with `>`."""
        if not text.endswith(">") or len(text) < 40 or not self._take(text[:-1].rpartition(" ")[0], line):
            return False
        self.corrupt("lines are cut at a terminal's width")
        return True

    def _take_wrapped(self, text: str, line: int) -> bool:
        """Read a line joined to the line before it, because a mail client may have wrapped a long line in two."""
        before, at = self._before
        if not before or not text or text[0] == " " or len(before) < 20:
            return False
        if is_whole_constraint(before) or is_whole_total(before):
            return False
        joined = f"{before} {text}"
        known = len(self.kills)
        # The first half alone may have been read as a frame already: the joined line replaces it.
        half = self.trace.take_back(at)
        frames = len(self.trace.frames)
        taken = self.take_row(joined, at) or self._take(joined, at)
        if len(self.trace.frames) == frames:
            self.trace.frames.extend(half)
        if not taken:
            return False
        # A zone with fewer counters, or a kill with fewer sizes, may have been read already too.
        if before.startswith("Node "):
            self.memory.undo_place(at)
            self._take(joined, at)
        if len(self.kills) > known and known and self.kills[known - 1].line == at:
            del self.kills[known - 1]
        self.unknown = [left for left in self.unknown if left.line != at]
        self._before = (joined, at)
        return True

    def _take(self, text: str, line: int) -> bool:
        return (
            self._take_invocation(text)
            or self._take_end(text, line)
            or self._take_table(text, line)
            or self.memory.take(text, line)
            or self.header.take(text)
            or self.cgroup.take(text, line)
            or self._take_cpuset(text)
            or self.trace.take(text, line)
            or self._take_note(text, line)
        )

    def _take_invocation(self, text: str) -> bool:
        if "invoked oom-killer" not in text or (self.invocation is not None and self.invocation.complete):
            return False
        self.invocation = read_invocation(text)
        self.old = "oomkilladj=" in text
        return self.invocation is not None

    def _take_table(self, text: str, line: int) -> bool:
        if text == _TABLE_TITLE:
            return True
        if is_task_header(text):
            self.table = TaskTable(text)
            self.tasks_line = line
            self._in_table = True
            return True
        return False

    def _take_end(self, text: str, line: int) -> bool:
        if "ill process" in text or "illed process" in text:
            return self._take_kill(text, line)
        if text.startswith("oom-kill:"):
            self.constraint = read_constraint(text)
            self.constraint_line = line
            self._in_table = False
            return self.constraint is not None
        if text.startswith("oom_reaper:"):
            return self._take_reaped(text, line)
        if _NONE_KILLABLE.match(text):
            self.killable = False
            self.finished = True
            return True
        group = read_group(text) if text.startswith("Tasks in ") else None
        if group is not None:
            self.group = group
        return group is not None

    def _take_kill(self, text: str, line: int) -> bool:
        self._in_table = False
        scored = read_score(text)
        if scored is not None:
            self.scored = scored
            return True
        kill = read_kill(text, line)
        if kill is None:
            return False
        if self.scored is not None:
            reason, pid, _comm, score = self.scored
            kill = replace(kill, reason=kill.reason or reason, score=score if pid == kill.pid else None)
        self.kills.append(kill)
        self.old = self.old or kill.total_vm_kb is None
        return True

    def _take_reaped(self, text: str, line: int) -> bool:
        reaped = read_reaped(text, line)
        if reaped is None or (self.kills and all(kill.pid != reaped.pid for kill in self.kills)):
            return False
        self.reaped.append(reaped)
        return True

    def _take_cpuset(self, text: str) -> bool:
        if self.cpuset is not None or "mems_allowed=" not in text:
            return False
        self.cpuset = read_cpuset(text)
        return self.cpuset is not None

    def _take_note(self, text: str, line: int) -> bool:
        if _NOTES.match(text) is None:
            return False
        self.notes.append(TextLine(line, text))
        return True

    @property
    def awaits_kill(self) -> bool:
        """Whether the next kill belongs to this report: its first kill, or a further one of memory.oom.group."""
        return self.group is not None or (not self.kills and not self.finished)

    def killed(self, pid: int) -> bool:
        """Return whether this report killed the process `pid`."""
        return any(kill.pid == pid for kill in self.kills)

    def close(self) -> Event:
        self._check_whole()
        return OomEvent(**self.fields())

    def fields(self) -> dict[str, Any]:
        """Return the keyword arguments of an OomEvent."""
        invocation, memory, cgroup = self.invocation, self.memory, self.cgroup
        fields = self.constraint or {}
        constraint = fields.get("constraint")
        zones = tuple(zone.close() for zone in memory.zones)
        page_kb = page_size_kb(memory.counters, tuple(memory.nodes), zones, tuple(self.tasks))
        scope = self._scope(constraint)
        mems = fields.get("mems_allowed") or (self.cpuset[1] if self.cpuset else None)
        task = self.header.task
        invoker = None
        if invocation is not None:
            pid = task.pid if task is not None and task.comm == invocation.comm else None
            invoker = Task(invocation.comm, pid)
        flags, decoded = self._flags()
        return dict(
            **self.base(),
            kind=self.kind if self._is_oom() else Kind.MEMORY_INFO,
            title=self._title(scope),
            function=None,
            invoker=invoker,
            gfp_mask=None if invocation is None else invocation.gfp_mask,
            gfp_flags=flags,
            gfp_decoded=decoded,
            order=None if invocation is None else invocation.order,
            oom_score_adj=None if invocation is None else invocation.oom_score_adj,
            oom_adj=None if invocation is None else invocation.oom_adj,
            nodemask=fields.get("nodemask") or (None if invocation is None else invocation.nodemask),
            cpuset=fields.get("cpuset") or (self.cpuset[0] if self.cpuset else None),
            mems_allowed=mems,
            constraint=constraint,
            constraint_line=self.constraint_line,
            constraint_values=fields,
            scope=scope,
            oom_memcg=fields.get("oom_memcg") or cgroup.limit_path or cgroup.path,
            task_memcg=fields.get("task_memcg") or cgroup.task_path,
            workqueue=self.header.workqueue,
            mem_info=memory.counters,
            mem_info_line=memory.line,
            mem_info_lines=memory.counter_lines,
            nodes=tuple(memory.nodes),
            zones=zones,
            hugepages=tuple(memory.hugepages),
            totals=memory.totals,
            totals_lines=memory.totals_lines,
            slabs=tuple(memory.slabs),
            allocations=tuple(memory.allocations),
            cgroup=tuple(cgroup.usage),
            cgroup_path=cgroup.path,
            cgroup_stats=cgroup.stats,
            cgroup_stats_line=cgroup.line,
            cgroup_protection=cgroup.protection,
            tasks=tuple(self.tasks),
            task_columns=() if self.table is None else self.table.columns,
            tasks_line=self.tasks_line,
            page_kb=page_kb,
            totalpages=totalpages.derive(
                scope, memory.totals, zones, tuple(cgroup.usage), mems_allowed=mems, page_kb=page_kb
            ),
            kills=tuple(self.kills),
            killable=self.killable,
            panicked=self.panicked,
            old=self.old,
            oom_group=self.group is not None,
            reaped=tuple(self.reaped),
            notes=tuple(self.notes),
        )

    def _flags(self) -> tuple[tuple[str, ...], bool]:
        """Return the names of the gfp flags, and whether they were decoded from the mask."""
        if self.invocation is None:
            return (), False
        if self.invocation.gfp_flags or self.invocation.gfp_mask is None:
            return self.invocation.gfp_flags, False
        names = decode(self.invocation.gfp_mask, self.header.kernel)
        return names or (), bool(names)

    def _is_oom(self) -> bool:
        """Return whether the lines are an OOM report: SysRq m, for one, prints Mem-Info without one."""
        named = (self.invocation, self.table, self.constraint, self.kills, not self.killable)
        return any(named) or any(part_of(frame.function) == "oom" for frame in self.trace.frames)

    def _scope(self, constraint: str | None) -> str | None:
        if self.invocation is not None and self.invocation.order == -1:
            return "sysrq"
        if constraint is not None:
            return _SCOPES.get(constraint)
        if self.cgroup.usage or any(kill.reason.startswith("Memory cgroup") for kill in self.kills):
            return "memcg"
        return "global" if self.memory.line is not None or self.kills else None

    def _title(self, scope: str | None) -> str:
        """Return where memory ran out and which program was killed, without figures, so that titles can be compared."""
        where = {"memcg": "out of memory in a cgroup", "sysrq": "OOM kill by SysRq"}.get(scope or "", "out of memory")
        if not self._is_oom():
            return "memory information"
        if self.kills:
            return f"{where}: killed {self.kills[0].comm}"
        if not self.killable:
            return f"{where}: no killable process"
        return where

    def _check_whole(self) -> None:
        if not self._is_oom():
            return
        if self.memory.cut:
            self.corrupt("a line is cut at its end")
        if self.invocation is None and (self.memory.line is not None or self.table is not None or self.trace.frames):
            self.corrupt("the report's beginning is missing")
        elif self.invocation is not None and not self.invocation.complete:
            self.corrupt("the invocation's line is cut")
        elif self.table is not None and not self.tasks:
            self.corrupt("the task table is empty")
