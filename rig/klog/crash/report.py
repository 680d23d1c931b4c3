# SPDX-License-Identifier: MIT
"""The lines of one report, to be searched for what its title is made of."""

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
_INSTRUCTION_POINTER = re.compile(
    r"(?:\bR?IP|\bEIP|\bNIP|\bpc |PC is at|\bepc)\s?:? (?:\[?<?[0-9a-f]+>?\]? +)?(?:\d+:)?"
    r"(?:\[<[0-9a-f]+>\] +){0,2}"
    r"(?:\[<[0-9a-f]+>\] )?(?P<function>[A-Za-z_][\w]*)[.+]"
)
_USER_POINTER = re.compile(
    r"(?:\bR?IP|\bNIP|\bpc |PC is at):? (?:(?:\d+:)?0x[0-9a-f]+|(?:\d+:)?(?:\[<[0-9a-f]+>\] +)?\[< "
    r"*\(null\)>\] +\(null\)"
    r"|\d+: +\(null\))"
)
# Fault injection prints a trace of its own, often into the middle of another report.
_FOREIGN_TRACE = re.compile(r"^\s*(?:\[<?(?:0x)?[0-9a-f]+>?\] )? ?should_fail(?:slab)?(?:\.[\w.]+)?\+0x")


def base_name(function: str) -> str:
    """Return a function's name without what the compiler appended: `foo.isra.0.cold` is foo."""
    return function.lstrip(".").split(".", 1)[0]


def is_trace_start(text: str) -> bool:
    """Whether a line is the head of a trace."""
    return _TRACE_START.search(text) is not None


class Report:
    """numbers and texts run in parallel: the line's number in the input, and its text."""

    def __init__(self, numbers: list[int], texts: list[str]) -> None:
        self.numbers = numbers
        self.texts = texts
        self.foreign = False

    def find(self, pattern: re.Pattern[str], start: int = 0) -> tuple[int, re.Match[str]] | None:
        """Return the first line from start on that the pattern is found in, and the match."""
        for index in range(start, len(self.texts)):
            match = pattern.search(self.texts[index])
            if match is not None:
                return index, match
        return None

    def functions_from(self, start: int, stop: re.Pattern[str] | None = None) -> list[str]:
        """Return the functions of the trace whose lines begin at start, up to the next trace's head."""
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
        """Return the functions of the first `Call Trace:` from start on."""
        head = self.find(_CALL_TRACE, start)
        return [] if head is None else self.functions_from(head[0] + 1, stop)

    def instruction_pointer(self, start: int = 0) -> tuple[int, str | None] | None:
        """Return where the registers are, and the kernel function that the instruction pointer is in.

        The function is None for an address in user space, or in no function.
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
