# SPDX-License-Identifier: MIT
"""Find the functions that a report's title may name, most likely first; one search for each kind of report."""

from __future__ import annotations

import re
from collections.abc import Callable

from rig.klog.crash.report import Report, base_name

__all__ = [
    "Blame",
    "after",
    "asked_by_nmi",
    "fault",
    "first_trace",
    "lock_cycle",
    "lock_site",
    "pointer_first",
    "pointer_only",
    "stalled",
    "title_then",
    "title_then_place",
    "title_then_trace",
    "warned",
]

Blame = Callable[[Report, re.Match[str]], list[str]]

_AT = re.compile(r"at: (?:\[<[0-9a-f]+>\] +)?(?P<function>[A-Za-z_]\w*)[.+]")
_IN = re.compile(r" in (?P<function>[A-Za-z_]\w*)[.+]")


def fault(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the candidates of a fault: the instruction pointer's function, then the call trace below the registers."""
    pointer = report.instruction_pointer()
    if pointer is None:
        return report.trace_after(0)
    index, function = pointer
    return ([base_name(function)] if function else []) + report.trace_after(index)


def pointer_only(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the function of the instruction pointer alone, for a trap that the function itself raised."""
    pointer = report.instruction_pointer()
    return [base_name(pointer[1])] if pointer is not None and pointer[1] else []


def first_trace(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the functions of the first call trace, for a report that a function printed by calling dump_stack()."""
    return report.trace_after(0)


# arch/powerpc/kernel/process.c show_stack(): the exception frame within a trace.
_INTERRUPTED = re.compile(r"--- interrupt: \d+ at (?:\.)?(?P<function>[A-Za-z_]\w*)[.+]")


def warned(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the candidates of a warning: the function that trapped, then its callers.

    Empty where the report has neither registers nor an exception frame; a rule then tries first_trace.
    """
    pointer = report.instruction_pointer()
    interrupted = report.find(_INTERRUPTED)
    if interrupted is not None and (pointer is None or interrupted[0] < pointer[0] or pointer[1] is None):
        return [interrupted[1]["function"], *report.functions_from(interrupted[0] + 1)]
    if pointer is None:
        return []
    index, function = pointer
    return ([base_name(function)] if function else []) + report.functions_from(index + 1)


def title_then(below: Blame) -> Blame:
    """Return a Blame for a sanitizer's finding: the function that its first line names, then what `below` finds."""

    def blame(report: Report, match: re.Match[str]) -> list[str]:
        named = _IN.search(report.texts[0])
        return ([named["function"]] if named is not None else []) + below(report, match)

    return blame


title_then_trace = title_then(first_trace)


def title_then_place(report: Report, match: re.Match[str]) -> list[str]:
    """Return the candidates of an unbalanced unlock: the unlocking function, then the trace.

    print_unlock_imbalance_bug() (kernel/locking/lockdep.c) prints the unlocking address on a line of its own.
    """
    place = report.find(_PLACE, 1)
    return ([place[1]["function"]] if place is not None else []) + first_trace(report, match)


_PLACE = re.compile(r"\[<[0-9a-f]+>\] +(?P<function>[A-Za-z_]\w*)[.+]")


def after(pattern: str, stop: str | None = None) -> Blame:
    """Return a Blame for a trace that may lack the heading `Call Trace:`.

    pattern: found in the line above the trace.
    stop: found in the line that ends the trace; None: the trace ends at the next trace's heading.
    """
    head = re.compile(pattern)
    end = None if stop is None else re.compile(stop)

    def blame(report: Report, _match: re.Match[str]) -> list[str]:
        found = report.find(head)
        return [] if found is None else report.functions_from(found[0] + 1, end)

    return blame


def lock_site(*patterns: str) -> Blame:
    """Return a Blame for the function that took a lock.

    The function is in the first `at: function` from the line that matches the last pattern.
    patterns: searched for in turn, each from the line where the one before was found.
    """
    heads = [re.compile(pattern) for pattern in patterns]

    def blame(report: Report, _match: re.Match[str]) -> list[str]:
        index = 0
        for head in heads:
            found = report.find(head, index)
            if found is None:
                return []
            index = found[0]
        place = report.find(_AT, index)
        return [] if place is None else [place[1]["function"]]

    return blame


def lock_cycle(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the candidates of a circular locking dependency.

    The order is: where the new lock is taken, where the held lock was taken, then the dependency chain between them.
    """
    first = report.find(_AT)
    if first is None:
        return []
    second = report.find(_AT, first[0] + 1)
    if second is None:
        return [first[1]["function"]]
    return [first[1]["function"], second[1]["function"], *report.functions_from(second[0] + 1)]


_TIMER_INTERRUPT = re.compile(r"apic_timer_interrupt")
_ANY_INTERRUPT = re.compile(r"apic_timer_interrupt|Exception stack|el1h_64_irq")


def pointer_first(report: Report, match: re.Match[str]) -> list[str]:
    """Return the candidates of a stall that prints its registers before its trace (since 5.17), as a fault does.

    Empty where the registers come after the trace or name no kernel function.
    """
    pointer = report.instruction_pointer()
    head = report.find(_CALL_TRACE)
    if pointer is None or pointer[1] is None or head is None or head[0] < pointer[0]:
        return []
    return fault(report, match)


_CALL_TRACE = re.compile(r"Call [Tt]race:")
_NMI = re.compile(r"NMI backtrace for cpu")


def asked_by_nmi(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the candidates of a stall that another CPU reported: the code that the backtrace NMI interrupted."""
    asked = report.find(_NMI)
    pointer = None if asked is None else report.instruction_pointer(asked[0])
    if pointer is None or pointer[1] is None:
        return []
    return [base_name(pointer[1]), *report.trace_after(pointer[0])]


def stalled(report: Report, _match: re.Match[str]) -> list[str]:
    """Return the candidates of a stall: the code that the timer interrupt interrupted, and its callers."""
    entry = report.find(_TIMER_INTERRUPT)
    if entry is not None:
        pointer = report.instruction_pointer(entry[0] + 1)
        if pointer is not None:
            index, function = pointer
            functions = ([base_name(function)] if function else []) + report.functions_from(index + 1)
            if functions:
                return functions
    entry = report.find(_ANY_INTERRUPT)
    return [] if entry is None else report.functions_from(entry[0] + 1)
