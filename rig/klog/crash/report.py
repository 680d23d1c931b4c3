# SPDX-License-Identifier: MIT
"""The lines of one report, and searches for the functions and registers that its title needs."""

from __future__ import annotations

import re

from rig.klog.trace import read_frames

__all__ = ["Report", "base_name", "is_trace_start"]

_TRACE_START = re.compile(
    r"Call [Tt]race|^\s*(?:unwind|dump)_backtrace from |Allocated:|Allocated by task \d+:|Freed:|Freed by task \d+:"
    r"|(?:^|[^k]) backtrace(?: "
    r"\(crc \w+\))?:"
    r"|Backtrace:|Uninit was stored to memory at|status: [0-9a-f]{16} badaddr: [0-9a-f]{16} cause: "
    r"[0-9a-f]{16}"
)
# A register dump whose instruction pointer is in a kernel function: x86, PowerPC (NIP), Arm (pc), RISC-V (epc).
_INSTRUCTION_POINTER = re.compile(
    r"(?:\bR?IP|\bEIP|\bNIP|\bpc |PC is at|\bepc)\s?:? (?:\[?<?[0-9a-f]+>?\]? +)?(?:\d+:)?"
    r"(?:\[<[0-9a-f]+>\] +){0,2}"
    r"(?:\[<[0-9a-f]+>\] )?(?P<function>[A-Za-z_][\w]*)[.+]"
)
# A register dump whose instruction pointer is in user space, or NULL.
_USER_POINTER = re.compile(
    r"(?:\bR?IP|\bNIP|\bpc |PC is at):? (?:(?:\d+:)?0x[0-9a-f]+|(?:\d+:)?(?:\[<[0-9a-f]+>\] +)?\[< "
    r"*\(null\)>\] +\(null\)"
    r"|\d+: +\(null\))"
)
# Fault injection (lib/fault-inject.c) prints its own trace, often into the middle of another report.
_FOREIGN_TRACE = re.compile(r"^\s*(?:\[<?(?:0x)?[0-9a-f]+>?\] )? ?should_fail(?:slab)?(?:\.[\w.]+)?\+0x")


def base_name(function: str) -> str:
    """Return a function's name without the compiler's suffixes: foo for `foo.isra.0.cold`."""
    return function.lstrip(".").split(".", 1)[0]


def is_trace_start(text: str) -> bool:
    """Return whether a line is the heading of a trace."""
    return _TRACE_START.search(text) is not None


class Report:
    """The lines of one report.

    numbers: each line's number in the input.
    texts: each line's text, in the same order.
    foreign: whether a search ran into the trace of an injected fault.
    """

    def __init__(self, numbers: list[int], texts: list[str]) -> None:
        self.numbers = numbers
        self.texts = texts
        self.foreign = False

    def find(self, pattern: re.Pattern[str], start: int = 0) -> tuple[int, re.Match[str]] | None:
        """Return the index of the first line from start on that matches, and the match; None where no line does."""
        for index in range(start, len(self.texts)):
            match = pattern.search(self.texts[index])
            if match is not None:
                return index, match
        return None

    def functions_from(self, start: int, stop: re.Pattern[str] | None = None) -> list[str]:
        """Return the functions of the trace whose frames begin at index `start`, innermost first.

        The trace ends at the next trace's heading, or at a line that matches `stop`.
        """
        functions: list[str] = []
        for index in range(start, len(self.texts)):
            text = self.texts[index]
            if _FOREIGN_TRACE.match(text):
                self.foreign = True
                break
            if _TRACE_START.search(text) or (stop is not None and stop.search(text)):
                break
            functions.extend(self._functions(index))
        return functions

    def _functions(self, index: int) -> list[str]:
        text = self.texts[index]
        if "+0x" not in text and " from " not in text:
            return []
        frames = read_frames(text, self.numbers[index])
        return [base_name(frame.function) for frame in frames if frame.reliable and not frame.inlined]

    def trace_after(self, start: int, stop: re.Pattern[str] | None = None) -> list[str]:
        """Return the functions of the first trace with a `Call Trace:` heading from index `start` on."""
        head = self.find(_CALL_TRACE, start)
        return [] if head is None else self.functions_from(head[0] + 1, stop)

    def instruction_pointer(self, start: int = 0) -> tuple[int, str | None] | None:
        """Return the index of the line with the instruction pointer, and the kernel function that it is in.

        The function is None for an address in user space and for NULL. None is returned where no registers follow.
        """
        for index in range(start, len(self.texts)):
            text = self.texts[index]
            match = _INSTRUCTION_POINTER.search(text)
            if match is not None:
                return index, match["function"]
            if _USER_POINTER.search(text):
                return index, None
        return None


_CALL_TRACE = re.compile(r"Call [Tt]race:|Backtrace:|^\s*(?:unwind|dump)_backtrace from ")
