# SPDX-License-Identifier: MIT
"""Assemble events from lines: decide which line begins an event, which event a line belongs to, and what caused it.

Where lines carry their caller ([T123], [C0]), it separates the reports that several CPUs printed at the same time.
Where they do not, a report ends at the first line of the next one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rig.klog.builder import Builder
from rig.klog.crash.builder import CrashBuilder
from rig.klog.crash.starts import continues, find_start
from rig.klog.event import Event
from rig.klog.kinds import Kind
from rig.klog.oneline import OneLineBuilder, find_one_line
from rig.klog.oom.invocation import is_allocation_failure
from rig.klog.oom.kill import read_kill, read_reaped
from rig.klog.oom.report import OomBuilder
from rig.klog.oom.tasks import is_task_header
from rig.klog.panic import PanicBuilder, is_oom_reason, panic_reason
from rig.klog.prefix import Prefix

__all__ = ["Assembler"]

_LINGER = 2000  # lines for which an ended OOM report is kept, for late lines of the oom_reaper and further kills
_MOST_OPEN = 16  # reports that are held at once; every CPU may print one
_NEAR = 3000  # lines after a report within which a panic is attributed to it

# Beginnings of lines that the firmware and the boot loader print before the kernel.
_LOADER = (b"Decompressing", b"Booting", b"Parsing", b"SeaBIOS", b"iPXE")

_Context = tuple[bool, str | None]

_DROPPED = re.compile(r"\*\* \d+ printk messages dropped \*\*|printk: \d+ messages (?:dropped|suppressed)")
_REPLAY = "** replaying previous printk message **"
_FOLLOWS_REPORT = re.compile(
    r"Fatal exception|panic_on_warn|hung_task|softlockup|hardlockup|Hard LOCKUP|Attempted to kill|RCU "
    r"Stall|kasan|panic_on_|"
    r"Oops|Fatal hardware|Aiee|Asynchronous SError|NMI"
)


def _begins_in_the_middle(text: str) -> bool:
    """Return whether a line is from the middle of an OOM report, for a log whose beginning is missing."""
    return text.startswith(("Mem-Info:", "oom-kill:constraint=")) or is_task_header(text)


class Assembler:
    """Assemble events from lines.

    Call `feed` for each line, `events` in between for the events that are complete, and `finish` after the last line.
    """

    def __init__(self) -> None:
        self._count = 0
        self._line = 0
        self._current: dict[_Context, Builder] = {}
        self._waiting: list[Builder] = []  # in the order of their first lines
        self._last: Builder | None = None
        self._started = False
        self._stamp: Prefix | None = None  # the prefix of a line without any text
        self._headless = False

    def expect_headless(self) -> None:
        """Treat the next line as part of an OOM report whose beginning is missing."""
        self._headless = True

    @property
    def idle(self) -> bool:
        """Whether no report is being read, so that lines without a keyword can be skipped."""
        if self._last is not None and not self._last.finished:
            return False
        return not any(not builder.finished for builder in self._current.values())

    def skip(self, line: int, passed: bytes) -> None:
        """Note that the reader skipped the lines up to number `line`. passed: the first bytes of the skipped lines."""
        self._line = line
        if not self._started:
            self._started = any(
                text and not text.startswith(_LOADER) for text in map(bytes.strip, passed[:4096].split(b"\n"))
            )

    def feed(self, prefix: Prefix, text: str, line: int) -> None:
        """Read one line."""
        self._line = line
        if not text or text.isspace():
            self._stamp = prefix if prefix.present else self._stamp
            return
        if self._stamp is not None:
            # A mail client broke the line between the time stamp and the text.
            prefix = prefix if prefix.present else self._stamp
            self._stamp = None
        # Most lines of an OOM report are rows of its task table, so they are tried before everything else.
        last = self._last
        if (
            isinstance(last, OomBuilder)
            and text[:1] == "["
            and last.prefix.caller == prefix.caller
            and last.prefix.present == prefix.present
            and last.take_row(text, line)
        ):
            return
        if "** " in text and self._take_console_words(text):
            return
        context = (prefix.present, prefix.caller)
        self._started = self._started or (not text.startswith(("Booting", "Decompressing")))
        current = self._current.get(context)
        if current is None and not prefix.present:
            current = self._last if isinstance(self._last, OomBuilder) and not self._last.finished else None
        started = self._start(prefix, text, current, context)
        if started is not None:
            started.take(text, line)
        elif current is not None:
            self._continue(current, prefix, text)
        else:
            self._stray(prefix, text)

    def _take_console_words(self, text: str) -> bool:
        if _REPLAY in text:
            # Another CPU took over the console in the middle of a line, and printk prints the whole line again.
            last = self._last
            if last is not None and last.line == self._line - 1 and last in self._waiting:
                self._waiting.remove(last)
                self._forget(last)
                self._count -= 1
                self._last = None
            return True
        if _DROPPED.search(text):
            for builder in self._current.values():
                if not builder.finished:
                    builder.corrupt("the console dropped lines within it")
            return text.startswith("** ") and text.rstrip().endswith("**")
        return False

    def _continue(self, current: Builder, prefix: Prefix, text: str) -> None:
        shadow = current.shadow
        while shadow is not None:
            shadow.take(text, self._line)
            shadow = shadow.shadow
        if current.take(text, self._line):
            return
        if current.finished:
            self._stray(prefix, text)
        elif prefix.present == current.prefix.present or isinstance(current, OomBuilder):
            # Where the report's lines have a time stamp, a line without one was printed by a program and not by the
            # kernel. An OOM report keeps such lines as unknown ones. A crash report does not, because a fuzzer prints
            # thousands of them into it.
            current.leave_unknown(text, self._line)

    def _start(self, prefix: Prefix, text: str, current: Builder | None, context: _Context) -> Builder | None:
        headless, self._headless = self._headless, False
        if "invoked oom-killer" in text or headless:
            return self._open(context, OomBuilder(self._line, prefix))
        if is_allocation_failure(text):
            # Imported here because few logs need it, and it would slow down every start.
            from rig.klog.oom.allocation import AllocationBuilder

            if isinstance(current, CrashBuilder) and not current.finished:
                current.interrupted()
            return self._open(context, AllocationBuilder(self._line, prefix))
        if _begins_in_the_middle(text) and not (isinstance(current, OomBuilder) and not current.finished):
            return self._open(context, OomBuilder(self._line, prefix))
        found = find_start(text)
        if found is not None:
            rule, match = found
            if rule.kind is Kind.REBOOT and not self._started:
                return None
            crash = current if isinstance(current, CrashBuilder) and not current.finished else None
            if crash is not None and continues(text):
                return None
            if rule.kind is Kind.PANIC:
                return self._open_panic(PanicBuilder(self._line, prefix, rule, match), text, crash, context)
            return self._open_crash(CrashBuilder(self._line, prefix, rule, match), crash, context)
        if self._is_stray_kill(text, current):
            return self._open(context, OomBuilder(self._line, prefix))
        one_line = find_one_line(text)
        if one_line is not None and not (isinstance(current, CrashBuilder) and not current.finished):
            return self._open_one_line(OneLineBuilder(self._line, prefix, one_line))
        return None

    def _open(self, context: _Context, builder: Builder) -> Builder:
        previous = self._current.get(context)
        if previous is not None:
            previous.finished = True
        self._current[context] = builder
        return self._number(builder)

    def _open_crash(self, builder: CrashBuilder, crash: CrashBuilder | None, context: _Context) -> Builder:
        opened = self._open(context, builder)
        if crash is not None:
            if builder.prefix.caller is not None and not crash.has_trace:
                builder.shadow = crash  # the same task prints on: the next trace belongs to both reports
            else:
                crash.interrupted()
        return opened

    def _open_one_line(self, builder: Builder) -> Builder:
        """Open an event of one line, which does not end the report that surrounds it."""
        return self._number(builder)

    def _number(self, builder: Builder) -> Builder:
        self._count += 1
        builder.number = self._count
        self._waiting.append(builder)
        self._last = builder
        return builder

    def _open_panic(self, builder: PanicBuilder, text: str, crash: CrashBuilder | None, context: _Context) -> Builder:
        reason = panic_reason(text) or ""
        builder.caused_by = self._cause(reason, crash)
        opened = self._open(context, builder)
        if crash is not None and not isinstance(crash, PanicBuilder):
            crash.panics()
            if not crash.has_trace:
                builder.shadow = crash
        return opened

    def _cause(self, reason: str, crash: CrashBuilder | None) -> int | None:
        if is_oom_reason(reason):
            report = next((builder for builder in reversed(self._waiting) if isinstance(builder, OomBuilder)), None)
            if report is None:
                return None
            report.panicked = True
            return report.number
        if crash is not None:
            return crash.number
        if _FOLLOWS_REPORT.search(reason):
            for builder in reversed(self._waiting):
                if isinstance(builder, CrashBuilder) and self._line - builder.last_line < _NEAR:
                    return builder.number
        return None

    def _is_stray_kill(self, text: str, current: Builder | None) -> bool:
        """Return whether a line is a kill without a report.

        mm/oom_kill.c rate-limits dump_header(), but not the line of the kill.
        """
        if "illed process" not in text:
            return False
        if isinstance(current, OomBuilder) and current.awaits_kill:
            return False
        return read_kill(text, self._line) is not None

    def _stray(self, prefix: Prefix, text: str) -> None:
        """Add a line outside of all open reports to an earlier one: the oom_reaper's, or another CPU's backtrace."""
        if text.startswith("oom_reaper:"):
            reaped = read_reaped(text, self._line)
            for builder in reversed(self._waiting):
                if isinstance(builder, OomBuilder) and reaped is not None and builder.killed(reaped.pid):
                    builder.take(text, self._line)
                    return
        elif prefix.caller is not None and prefix.caller.startswith("C"):
            for builder in reversed(self._waiting):
                if isinstance(builder, CrashBuilder) and builder.other_cpus and not builder.finished:
                    builder.take(text, self._line)
                    return

    def _forget(self, builder: Builder) -> None:
        for context in [context for context, open_one in self._current.items() if open_one is builder]:
            del self._current[context]

    def events(self) -> Iterator[Event]:
        """Yield the events that are complete, oldest first."""
        while self._waiting:
            first = self._waiting[0]
            silent = self._line - first.last_line
            # An ended OOM report waits for late lines, such as the oom_reaper's. No report waits forever for its end.
            done = first.finished and (silent > _LINGER or not isinstance(first, OomBuilder))
            if not done and silent <= 10 * _LINGER and len(self._waiting) <= _MOST_OPEN:
                return
            yield self._close_first()

    @property
    def waiting(self) -> bool:
        """Whether a report has begun whose event has not been yielded."""
        return bool(self._waiting)

    def flush(self) -> Iterator[Event]:
        """Yield what there is of every report, as finish() does. Lines that come later begin anew."""
        yield from self.finish()
        self._current.clear()
        self._last = None

    def finish(self) -> Iterator[Event]:
        """Yield the remaining events, complete or not."""
        while self._waiting:
            yield self._close_first()

    def _close_first(self) -> Event:
        builder = self._waiting.pop(0)
        self._forget(builder)
        return builder.close()
