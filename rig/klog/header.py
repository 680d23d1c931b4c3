# SPDX-License-Identifier: MIT
"""Parse the lines with which dump_stack() begins: CPU, task, kernel, taint, hardware, workqueue.

Formats: lib/dump_stack.c dump_stack_print_info(), kernel/panic.c print_tainted().
"""

from __future__ import annotations

import re

from rig.klog.event import Task

__all__ = ["HeaderReader"]

# `CPU: 3 UID: 0 PID: 12 Comm: sh Tainted: G  W  6.12.1 #1 PREEMPT`. UID came with 6.12; old kernels print
# `Pid: 1, comm: sh`.
_CPU = re.compile(
    r"(?:CPU: (?P<cpu>\d+)\s+)?(?:UID: (?P<uid>\d+)\s+)?(?:PID|Pid): (?P<pid>-?\d+),?\s+[Cc]omm: "
    r"(?P<comm>.*?),?"
    r"(?: (?:xid: \S+ )?(?P<tainted>Not tainted|Tainted: .*?)(?:,? (?P<kernel>\(?\d+\.\d+\S*.*))?)?$"
)
_HARDWARE = re.compile(r"Hardware name: ?(?P<name>.*)$")
_WORKQUEUE = re.compile(r"Workqueue: (?P<name>.*)$")
# print_tainted_verbose() (kernel/panic.c): `Tainted: [W]=WARN, [O]=OOT_MODULE`.
_TAINT_REASONS = re.compile(r"\s*(?:Tainted: )?(?:\[[A-Z]\]=\w+(?:, )?)+$")


class HeaderReader:
    """Read the lines of the header; the attributes hold what was printed, None for a line that has not been read."""

    def __init__(self) -> None:
        self.cpu: int | None = None
        self.uid: int | None = None
        self.task: Task | None = None
        self.kernel: str | None = None
        self.taint: str | None = None
        self.hardware: str | None = None
        self.workqueue: str | None = None

    def take(self, text: str) -> bool:
        """Read one line. Return whether it belongs to the header."""
        match = _CPU.match(text)
        if match is not None:
            if self.task is None or (self.kernel is None and match["kernel"] and self.task.pid == int(match["pid"])):
                self.cpu = None if match["cpu"] is None else int(match["cpu"])
                self.uid = None if match["uid"] is None else int(match["uid"])
                self.task = Task(match["comm"], int(match["pid"]))
                self.kernel = match["kernel"]
                self.taint = match["tainted"]
            return True
        match = _HARDWARE.match(text)
        if match is not None:
            self.hardware = self.hardware or match["name"]
            return True
        match = _WORKQUEUE.match(text)
        if match is not None:
            self.workqueue = self.workqueue or match["name"]
            return True
        return _TAINT_REASONS.match(text) is not None
