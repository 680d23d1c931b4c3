# SPDX-License-Identifier: MIT
"""Explain an OOM report, a failed allocation, or a dump of the state of memory."""

from __future__ import annotations

from rig.klog.explain.asked import asked, origin
from rig.klog.explain.cause import Cause, Certainty
from rig.klog.explain.causes import cause_of
from rig.klog.explain.checks import checks
from rig.klog.explain.explanation import Explanation, Section, Sentence
from rig.klog.explain.holders import holders, pictures
from rig.klog.explain.remedies import remedies_for
from rig.klog.explain.victim import chosen_otherwise, victim
from rig.klog.explain.vmalloc import vmalloc_cause
from rig.klog.explain.why import why
from rig.klog.explain.words import size
from rig.klog.oom.allocation import AllocationEvent
from rig.klog.oom.oom_event import OomEvent

__all__ = ["explain_allocation_failure", "explain_memory_info", "explain_oom"]


def explain_oom(event: OomEvent) -> Explanation:
    """Explain one OOM report."""
    if event.old:
        return _explain_old(event)
    cause = cause_of(event)
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=_summary(event, cause),
        sections=(asked(event), why(event), holders(event), victim(event)),
        remedies=remedies_for(event, cause.name),
        checks=checks(event),
        pictures=pictures(event),
        limits=_limits(event),
        cause=cause.name,
        certainty=cause.certainty,
    )


def _explain_old(event: OomEvent) -> Explanation:
    """Return what can be said of a report before 2.6.32: who was killed, and that the rest is not read."""
    text = "This report is of a kernel older than 2.6.32: its form is read only in part, so that its cause is not told."
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=(Sentence(text, (event.line,)), _killed(event)),
        sections=(asked(event),) if event.invoker is not None else (),
        cause="too-old",
        certainty=Certainty.UNSURE,
    )


def explain_memory_info(event: OomEvent) -> Explanation:
    """Explain a dump of the state of memory, such as SysRq m prints: no request failed."""
    text = "The state of memory, printed on request (SysRq m, or a program that asked): nobody was refused or killed."
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=(Sentence(text, (event.line,)),),
        sections=(holders(event),),
        checks=checks(event),
        pictures=pictures(event),
    )


def explain_allocation_failure(event: AllocationEvent) -> Explanation:
    """Explain an allocation that failed without an OOM kill."""
    who = event.invoker.comm if event.invoker is not None else "a caller"
    origin_words, lines = origin(event)
    text = f"{who} asked the kernel for memory and was refused; nobody was killed."
    if "stalls for" in event.what:
        text = f"{who} asked for memory and waited{event.what.partition('stalls')[2]}; it was not refused so far."
    if origin_words is not None:
        text += f" It was {origin_words}."
    sections: tuple[Section, ...] = (why(event), holders(event))
    if event.gfp_flags and any("ATOMIC" in flag or "NOWAIT" in flag for flag in event.gfp_flags):
        note = Sentence(
            "The request could not wait; such failures are expected under load and mostly repeated.",
            (event.line,),
        )
        sections = (Section("How bad it is", (note,)), *sections)
    cause = vmalloc_cause(event) or (cause_of(event) if event.zones else None)
    about = (cause.sentence,) if cause is not None and cause.name.startswith(_BINDS) else ()
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=(Sentence(text, (event.line, *lines)), *about),
        sections=sections,
        checks=checks(event),
        pictures=pictures(event),
        limits=("Whether the caller coped with the refusal.",),
        cause=cause.name if about and cause is not None else "",
        certainty=cause.certainty if about and cause is not None else "",
    )


# Causes that say why this request failed, whatever filled memory.
_BINDS = ("fragmentation", "cma", "highatomic", "low-zone", "movable-zone", "mempolicy", "cpuset", "vmalloc")
_SURE = {Certainty.CERTAIN: "", Certainty.LIKELY: "Most likely: ", Certainty.UNSURE: "Not certain: "}


def _summary(event: OomEvent, cause: Cause) -> tuple[Sentence, ...]:
    """Return the cause and its certainty, then the victim, then anything that is wrong with the report."""
    sentences = [Sentence(_SURE[cause.certainty] + cause.sentence.text, cause.sentence.lines or (event.line,))]
    if event.constraint is not None and event.scope is None:
        text = f"The constraint is {event.constraint}, which is not one of the kernel's own."
        sentences.append(Sentence(text, (event.constraint_line or event.line,)))
    sentences.append(_killed(event))
    if chosen_otherwise(event):
        sentences.append(Sentence("By the task table another task was worse: see below.", (event.line,)))
    if event.corrupted:
        sentences.append(Sentence(f"The report is damaged: {event.corruption}.", (event.line, event.last_line)))
    return tuple(sentences)


def _killed(event: OomEvent) -> Sentence:
    kill = event.victim
    if kill is None:
        if not event.killable:
            return Sentence("Nobody could be killed.", (event.last_line,))
        if event.panicked:
            return Sentence("Nobody was killed: the kernel panicked, as vm.panic_on_oom asks.", (event.last_line,))
        return Sentence("Who was killed is not in this log: the report's end is missing.", (event.last_line,))
    held = (kill.anon_rss_kb or 0) + (kill.file_rss_kb or 0) + (kill.shmem_rss_kb or 0)
    who = f"{kill.comm} (pid {kill.pid})"
    if kill.total_vm_kb is not None:
        who += f", which held {size(held)}"
    if event.invoker is not None and event.invoker.pid == kill.pid:
        who += " and was the one that asked for more"
    group = " of its cgroup (memory.oom.group)" if event.oom_group else ""
    more = f", and {len(event.kills) - 1} more{group}" if len(event.kills) > 1 else ""
    return Sentence(f"The kernel killed {who}{more}.", (event.line, kill.line))


def _limits(event: OomEvent) -> tuple[str, ...]:
    limits = [
        "How fast the memory grew, and when it began: the report is one moment.",
        "What the memory inside a process is used for.",
        "Who forked whom: the table has no parents.",
    ]
    if any(row.rss_anon is None for row in event.tasks):
        limits.append("How much of a task's memory is its own: this kernel prints one figure for all kinds.")
    if event.scope == "memcg":
        limits.append("How the machine as a whole stood: a cgroup's report shows the cgroup alone.")
        if event.totalpages is None and event.tasks:
            limits.append(
                "The weight of oom_score_adj: the cgroup's swap limit is the machine's swap, whose size is not told."
            )
    if not event.tasks:
        limits.append("Who held the memory: there is no task table (vm.oom_dump_tasks=0, or it is cut off).")
    if event.totals.get("pages_ram") is not None and not event.hugepages:
        limits.append("Huge pages set aside: the report shows none of their counters.")
    return tuple(limits)
