# SPDX-License-Identifier: MIT
"""Compare each report on the console, line by line as it was parsed, with the kernel's own lines from /dev/kmsg.

A report that only the console has was written by a program. So was a trace or a task table that differs from the
kernel's: a program may turn the console off while the kernel reports, and then print that report with another body.

Two counters of the kernel's are compared as well, for the lines that the agent did not relay: an oops sets TAINT_DIE
(oops_end(), arch/x86/kernel/dumpstack.c), and a hung task raises hung_task_detect_count, where the kernel has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rig.klog import Event, OomEvent
from rig.klog.kinds import Kind
from rig.run.records import Record
from rig.scenario.after_end import may_be_after_end
from rig.scenario.evidence import Evidence
from rig.scenario.kernel_lines import KernelLines, Signature, kernel_lines, key_events, signature
from rig.scenario.told_by_panic import is_told_by_panic, panic_of

__all__ = ["Compared", "Doubt", "compare_reports"]

TAINT_DIE = 1 << 7
"""include/linux/panic.h; include/linux/kernel.h before 5.15."""
NOT_COMPARED = frozenset((Kind.USER_KILL, Kind.PROGRAM, Kind.REBOOT))
"""Programs write these. A panic is compared where the log was read from the memory of the guest that panicked."""


@dataclass(frozen=True)
class Doubt:
    """A report on the console, all or part of which could not be confirmed.

    what: the report's place and title, and the part.
    confirmed: what the kernel's own lines have of that report; None if nothing.
    """

    report: Event
    what: str
    confirmed: Event | None = None


@dataclass
class Compared:
    """reports: how many reports there were to compare.

    problems: what on the console is not the kernel's, or is hidden there.
    doubts: the reports that could not be compared.
    """

    reports: int = 0
    problems: list[str] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)


def _console_reports(evidence: Evidence, *, panics: bool = False) -> tuple[Event, ...]:
    """Return the reports on the console that are compared, with the panics or without.

    console.log begins where the guest's snapshot ends: the boot's reports are in boot.log. So none is of the boot,
    whatever time it bears: a program may print any.
    """
    left_out = NOT_COMPARED if panics else NOT_COMPARED | {Kind.PANIC}
    return tuple(event for event in evidence.log.events if event.kind not in left_out)


def compare_reports(evidence: Evidence) -> Compared:
    """Return what disagrees, and what could not be compared; nothing for an agent that relays no whole lines."""
    compared = Compared()
    kernels = kernel_lines(evidence)
    if kernels is None:
        return compared
    left = list(kernels.events)
    announced: dict[Signature, list[OomEvent]] = {}
    for event in key_events(evidence):
        if isinstance(event, OomEvent):
            announced.setdefault(signature(event), []).append(event)
    to_panic = kernels.to_panic_from is not None
    # What the panic's lines tell of the report before them is needed only where the kernel's log ends before both.
    panic = None if to_panic else panic_of(evidence)
    for report in _console_reports(evidence, panics=to_panic):
        compared.reports += 1
        found, part = _find(report, left)
        if found is not None:
            left.remove(found)
        header = _announced(report, announced)
        whole = kernels.has_all_of(report) and not evidence.console_left_out
        may_be_kernels = not whole or may_be_after_end(evidence, report)
        told = is_told_by_panic(panic, report)
        if found is None and not told:
            _judge_missing(report, header, may_be_kernels, compared)
        elif found is not None and part and not (told and _begins_with(report, found)):
            _judge_part(report, found, part, may_be_kernels, compared)
    compared.problems.extend(_hidden(left, evidence, kernels))
    compared.problems.extend(_uncounted(evidence))
    return compared


def _find(report: Event, kernels: list[Event]) -> tuple[Event | None, str]:
    """Return the kernel's report of that kind and title, and which part differs: the one with the same body, or else
    the first.

    The title of a report that lacks lines on the console says less, so that its kind alone is compared.
    """
    first: tuple[Event | None, str] = None, ""
    for event in kernels:
        if event.kind == report.kind and (report.corrupted or event.title == report.title):
            part = _difference(report, event)
            if not part:
                return event, ""
            if first[0] is None:
                first = event, part
    return first


def _announced(report: Event, announced: dict[Signature, list[OomEvent]]) -> OomEvent | None:
    """Return the event in the lines that announce kills which is that of the report; it is taken from those left."""
    alike = announced.get(signature(report)) if isinstance(report, OomEvent) else None
    return alike.pop(0) if alike else None


def _judge_missing(report: Event, header: Event | None, may_be_kernels: bool, compared: Compared) -> None:
    """Judge a report that is not in the kernel's lines: it may be the kernel's where lines were not relayed."""
    what = _name(report)
    # Whether an OOM report is the kernel's is told by the lines that announce its kills, too (cross_check.py).
    if may_be_kernels or isinstance(report, OomEvent):
        compared.doubts.append(Doubt(report, what, header))
    else:
        compared.problems.append(f"{what} is not the kernel's: the kernel's log has no such record of it")


def _judge_part(report: Event, found: Event, part: str, may_be_kernels: bool, compared: Compared) -> None:
    what = _name(report)
    if may_be_kernels or report.corrupted:
        compared.doubts.append(Doubt(report, f"{what}, its {part}", found))
    else:
        compared.problems.append(f"{what}: its {part} is not the one that the kernel wrote to /dev/kmsg")


def _name(report: Event) -> str:
    return f"line {report.line} of console.log ({report.title})"


def _difference(report: Event, kernels: Event) -> str:
    """Return which part of the report differs from the kernel's own, or an empty text."""
    functions, own = report.trace.functions, kernels.trace.functions
    # Another CPU that was printing when panic() stopped it leaves the end of the panic to console_flush_on_panic(),
    # after QEMU has stopped the guest (panic(), kernel/panic.c).
    if functions != own and not (report.kind == Kind.PANIC and own[: len(functions)] == functions):
        return "call trace"
    if isinstance(report, OomEvent) and isinstance(kernels, OomEvent):
        if _tasks(report) != _tasks(kernels):
            return "task table"
        if (report.mem_info, report.totals) != (kernels.mem_info, kernels.totals):
            return "Mem-Info"
    return ""


def _begins_with(report: Event, relayed: Event) -> bool:
    """Return whether all that was relayed of an OOM report is in it: a panic cuts off what was not yet read."""
    if not (isinstance(report, OomEvent) and isinstance(relayed, OomEvent)):
        return False
    functions, tasks = relayed.trace.functions, _tasks(relayed)
    return (
        report.trace.functions[: len(functions)] == functions
        and relayed.mem_info.items() <= report.mem_info.items()
        and relayed.totals.items() <= report.totals.items()
        and _tasks(report)[: len(tasks)] == tasks
    )


def _tasks(report: OomEvent) -> tuple[Any, ...]:
    return tuple(
        (row.pid, row.name, row.total_vm, row.rss, row.pgtables_bytes, row.swapents, row.oom_score_adj)
        for row in report.tasks
    )


def _hidden(left: list[Event], evidence: Evidence, kernels: KernelLines) -> Iterator[str]:
    """Say which crashes the kernel reported and the console does not show. OOM kills are counted (cross_check.py)."""
    if kernels.console_taken:
        yield "the console was taken from the kernel, so that programs alone wrote what follows"
    if evidence.console_left_out:
        return
    start = float((evidence.ready() or {}).get("t", 0))
    shown = {event.kind for event in evidence.log.events if event.corrupted}
    for event in left:
        late = event.time is not None and event.time >= start
        if late and event.kind.crash and event.kind != Kind.PANIC and event.kind not in shown:
            yield f"the kernel wrote '{event.title}' to /dev/kmsg, and the console does not show it"


def _uncounted(evidence: Evidence) -> Iterator[str]:
    go, end = evidence.records.first("go") or {}, evidence.end() or {}
    kinds = [event.kind for event in _console_reports(evidence) if not may_be_after_end(evidence, event)]
    tainted = _number(end, "tainted")
    if Kind.OOPS in kinds and tainted is not None and not tainted & TAINT_DIE:
        yield "the log tells of an oops, and kernel.tainted says that there was none"
    first, last = _number(go, "hung_tasks"), _number(end, "hung_tasks")
    hung = kinds.count(Kind.HUNG_TASK)
    if first is not None and last is not None and first <= last < first + hung:
        yield f"the log tells of {hung} hung tasks, and hung_task_detect_count rose by {last - first}"


def _number(record: Record | dict[str, Any], name: str) -> int | None:
    value = record.get(name)
    return value if isinstance(value, int) else None
