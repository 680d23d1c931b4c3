# SPDX-License-Identifier: MIT
"""Collect the lines of one crash report, and make its event when the report is complete."""

from __future__ import annotations

import re
from typing import Any

from rig.klog.builder import Builder
from rig.klog.crash.crash_event import CrashEvent, LabelledTrace
from rig.klog.crash.files import file_to_blame
from rig.klog.crash.report import Report, is_trace_start
from rig.klog.crash.rules import Rule, Verdict
from rig.klog.event import Event, Trace
from rig.klog.header import HeaderReader
from rig.klog.prefix import Prefix
from rig.klog.trace import TraceReader, read_frame

__all__ = ["CrashBuilder"]

_MOST_LINES = 4000  # of one report; later lines are not kept
_QUIET = 200  # a report ends after this many consecutive lines that cannot belong to one

_CALLS = re.compile(r"Call [Tt]race|[Bb]acktrace")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
# Lines of a report other than frames: separators, registers, and the sections of lockdep's and KASAN's reports.
_STRUCTURE = re.compile(
    r"={20,}|-{20,}|\[ cut here \]|Modules linked in|Kernel Offset|Showing all locks|locks? held by|#\d+: "
    r"|Allocated by|Freed by|The buggy address|Memory state|which belongs|page:|flags:|raw:|page dumped|head:"
    r"|other info that might|stack backtrace|Possible unsafe|\*\*\* DEADLOCK|CPU\d|lock\(|the existing "
    r"dependency"
    r"|-> #\d|Sending NMI|NMI backtrace|rcu: |Disabling lock debugging|Rebooting in|Dumping ftrace|irq "
    r"event stamp"
    r"|hardirqs last|softirqs last|Read of size|Write of size|CR2:|FS: |DR\d:|PKRU|Reported by|value changed"
)
# One link of a chain of locks, above the trace of where it was made: print_circular_bug_entry() in
# kernel/locking/lockdep.c.
_LINK = re.compile(r"-> #\d+ \(")
# Lines below which a trace begins without a heading such as `Call Trace:`. KMSAN prints one trace below the first line
# of its report and one below the line that says where the memory was allocated or declared (mm/kmsan/report.c). KCSAN
# prints one below the line of each access (print_report() and get_access_type() in kernel/kcsan/report.c).
_BARE = re.compile(
    r"BUG: KMSAN: |^Uninit was created at:|^Local variable .{1,200} created at:"
    r"|^(?:race at unknown origin, with )?(?:read|write|assert no )[\w (),-]{0,60} to 0x[0-9a-f]{1,16} of \d+ bytes by "
)
_MODULES = re.compile(r"Modules linked in:(?P<names>.*)")
# The faulting address, as the architectures' fault handlers and the sanitizers print it.
_ADDRESS = re.compile(
    r"(?:for address:?|paging request at(?: virtual address)?|dereference(?: at virtual address|,? "
    r"address:?)?"
    r"|non-canonical address|at addr|access at|\bat virtual address) (?P<address>(?:0x)?[0-9a-f]{4,16})\b"
)
_OOPS = re.compile(r"\[#(?P<count>\d+)\]")


class CrashBuilder(Builder):
    """Collect the lines of a report whose first line matches `rule`."""

    def __init__(self, line: int, prefix: Prefix, rule: Rule, start: re.Match[str]) -> None:
        super().__init__(line, prefix)
        self.rule = rule
        self.start = start
        self.kind = rule.kind
        self.numbers: list[int] = []
        self.texts: list[str] = []
        self.panic_at: int | None = None
        self.other_cpus = False
        self.interrupted_at: int | None = None
        self.has_trace = False
        self._quiet = 0
        self._ended = False

    def take(self, text: str, line: int) -> bool:
        if len(self.texts) >= _MOST_LINES:
            self.finished = True
            return False
        text = text.rstrip()
        self.numbers.append(line)
        self.texts.append(text)
        if self._belongs(text, line):
            self._quiet = 0
            self.last_line = line
            if _END.search(text):
                self._ended = True
        else:
            self._quiet += 1
            if self._quiet > (20 if self._ended else _QUIET):
                self.finished = True
        if "Sending NMI from CPU" in text:
            self.other_cpus = True
        return True

    def _belongs(self, text: str, line: int) -> bool:
        if is_trace_start(text):
            self.has_trace = self.has_trace or _CALLS.search(text) is not None
            return True
        return (
            line == self.line
            or ("+0x" in text and read_frame(text, line) is not None)
            or _STRUCTURE.search(text) is not None
            or _END.search(text) is not None
            or "PID: " in text
            or "Pid: " in text
        )

    def panics(self) -> None:
        """Note that the next line begins the panic that this report led to."""
        if self.panic_at is None:
            self.panic_at = len(self.texts)

    def interrupted(self) -> None:
        """Note that the next line begins another report, so that later lines may not belong to this one."""
        if self.interrupted_at is None:
            self.interrupted_at = len(self.texts)

    def close(self) -> Event:
        return CrashEvent(**self.fields(), kind=self.rule.kind)

    def fields(self) -> dict[str, Any]:
        """Return the keyword arguments of a CrashEvent."""
        verdict = self._verdict()
        whole = Report(self.numbers, self.texts)
        self._read_header()
        traces = _traces(whole)
        ranked = sorted(traces, key=lambda labelled: _LINK.match(labelled.label) is not None)
        trace = next((labelled.trace for labelled in ranked if labelled.trace.frames), Trace())
        if verdict.corruption is not None:
            self.corrupt(verdict.corruption)
        elif self.rule.needs_trace and not trace.frames and self.caused_by is None:
            # A panic during an oops prints no second trace (kernel/panic.c panic(), oops_in_progress).
            self.corrupt("the report has no trace")
        address = next((match for text in self.texts[:4] if (match := _ADDRESS.search(text))), None)
        oops = next((match for text in self.texts[:30] if (match := _OOPS.search(text))), None)
        modules = next((match for text in self.texts if (match := _MODULES.search(text))), None)
        return {
            **self.base(),
            "trace": trace,
            "title": verdict.title,
            "alternatives": verdict.alternatives,
            "function": verdict.function,
            "file": file_to_blame(self.texts),
            "headline": self.texts[0] if self.texts else "",
            "address": None if address is None else int(address["address"], 16),
            "oops_count": None if oops is None else int(oops["count"]),
            "workqueue": self.header.workqueue,
            "traces": tuple(traces),
            "values": verdict.values,
            "modules": () if modules is None else tuple(modules["names"].split()),
        }

    def _verdict(self) -> Verdict:
        """Return the verdict on the report's own lines.

        Where these hold no trace, the lines of the report that follows are read as well.
        """
        for end in (self.panic_at, self.interrupted_at):
            if end is not None:
                verdict = self._judge(end)
                if verdict.corruption is None or end == self.interrupted_at:
                    return verdict
        return self._judge(None)

    def _judge(self, end: int | None) -> Verdict:
        report = Report(self.numbers[:end], self.texts[:end])
        verdict = self.rule.verdict(report, self.start)
        if report.foreign and verdict.corruption is None:
            return Verdict(
                verdict.title,
                verdict.alternatives,
                verdict.function,
                "another trace was printed into the report",
                verdict.values,
            )
        return verdict

    def _read_header(self) -> None:
        header = HeaderReader()
        for text in self.texts:
            if header.task is not None and header.hardware is not None:
                break
            header.take(text)
        self.header = header


def _traces(report: Report) -> list[LabelledTrace]:
    traces: list[LabelledTrace] = []
    reader = TraceReader()
    label = "registers"

    def close() -> None:
        trace = reader.close()
        if trace.frames or trace.registers:
            traces.append(LabelledTrace(label, trace))

    for number, text in zip(report.numbers, report.texts, strict=True):
        if is_trace_start(text) or _LINK.match(text) or _BARE.search(text):
            close()
            reader = TraceReader()
            reader.begin(number)
            label = text.strip().rstrip(":")
            reader.take(text, number)
        else:
            reader.take(text, number)
    close()
    return traces
