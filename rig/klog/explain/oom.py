# SPDX-License-Identifier: MIT
"""An OOM report, or a failed allocation, explained."""

from __future__ import annotations

from rig.klog.explain.asked import asked, origin
from rig.klog.explain.checks import checks
from rig.klog.explain.explanation import Explanation, Section, Sentence
from rig.klog.explain.holders import holders, pictures
from rig.klog.explain.remedies import remedies_for
from rig.klog.explain.victim import chosen_otherwise, victim
from rig.klog.explain.why import why
from rig.klog.explain.words import size
from rig.klog.oom.oom_event import OomEvent

__all__ = ["explain_allocation_failure", "explain_oom"]


def explain_oom(event: OomEvent) -> Explanation:
    """Explain one OOM report."""
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=_summary(event),
        sections=(asked(event), why(event), holders(event), victim(event)),
        remedies=remedies_for(event),
        checks=checks(event),
        pictures=pictures(event),
        limits=_limits(event),
    )


def explain_allocation_failure(event: OomEvent) -> Explanation:
    """Explain an allocation that failed without a kill."""
    who = event.invoker.comm if event.invoker is not None else "somebody"
    cause, lines = origin(event)
    text = f"{who} asked the kernel for memory and was refused; nobody was killed."
    if cause is not None:
        text += f" It was {cause}."
    sections: tuple[Section, ...] = (why(event), holders(event))
    if event.gfp_flags and any("ATOMIC" in flag or "NOWAIT" in flag for flag in event.gfp_flags):
        note = Sentence(
            "The request could not wait; such failures are expected under load and mostly repeated.",
            (event.line,),
        )
        sections = (Section("How bad it is", (note,)), *sections)
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=(Sentence(text, (event.line, *lines)),),
        sections=sections,
        checks=checks(event),
        pictures=pictures(event),
        limits=("Whether the caller coped with the refusal.",),
    )


def _summary(event: OomEvent) -> tuple[Sentence, ...]:
    kill = event.victim
    place = {
        "memcg": f"The cgroup {event.oom_memcg} reached its memory limit",
        "cpuset": f"Node {event.mems_allowed}, the only one allowed, ran out of memory",
        "mempolicy": f"Node {event.mems_allowed}, to which a memory policy binds, ran out of memory",
        "sysrq": "Somebody called the OOM killer by hand",
    }.get(event.scope or "", "The machine ran out of memory")
    if kill is None:
        end = "nobody could be killed" if not event.killable else "the log shows no kill"
        return (Sentence(f"{place}, and {end}.", (event.line,)),)
    held = (kill.anon_rss_kb or 0) + (kill.file_rss_kb or 0) + (kill.shmem_rss_kb or 0)
    who = f"{kill.comm} (pid {kill.pid}), which held {size(held)}"
    if event.invoker is not None and event.invoker.pid == kill.pid:
        who += " and was the one that asked for more"
    more = f", and {len(event.kills) - 1} more" if len(event.kills) > 1 else ""
    sentences = [Sentence(f"{place}: the kernel killed {who}{more}.", (event.line, kill.line))]
    if chosen_otherwise(event):
        sentences.append(Sentence("By the task table another task was worse: see below.", (kill.line,)))
    if event.corrupted:
        sentences.append(Sentence(f"The report is damaged: {event.corruption}.", (event.line, event.last_line)))
    return tuple(sentences)


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
