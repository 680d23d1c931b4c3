# SPDX-License-Identifier: MIT
"""Explain events that consist of one line."""

from __future__ import annotations

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation, Section, Sentence
from rig.klog.explain.remedies import kind_of_failure, remedies_for
from rig.klog.explain.words import size
from rig.klog.kinds import Kind
from rig.klog.oneline import OneLineEvent

__all__ = ["explain_other"]


def explain_other(event: Event) -> Explanation:
    """Explain a segfault, a trap, a refused commitment, or any event without an explanation of its own."""
    who = "a task" if event.task is None else f"{event.task.comm} (pid {event.task.pid})"
    sentences: list[Sentence] = []
    if isinstance(event, OneLineEvent) and event.kind is Kind.COMMIT_REFUSED:
        wanted = event.values.get("bytes")
        amount = f"{size(int(wanted) / 1024)} " if wanted else "memory "
        text = f"The kernel refused {who} the promise of {amount}(ENOMEM): what is promised leaves no room."
        sentences.append(
            Sentence("Nothing was killed, and memory may be free: what is counted are promises.", (event.line,))
        )
    elif isinstance(event, OneLineEvent) and event.kind is Kind.USER_KILL:
        text, sentences = _user_kill(event)
    elif isinstance(event, OneLineEvent):
        what = event.values.get("what", "a bad memory access").strip()
        place = f" in {event.values['object']}" if event.values.get("object") else ""
        text = f"The program {who} died of {what}{place}: a fault of the program, not of the kernel."
        error = event.values.get("error")
        if event.kind is Kind.SEGFAULT and error is not None:
            sentences.append(Sentence(_error(int(error, 16), event.values["address"]), (event.line,)))
    else:
        text = f"{event.title}."
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=(Sentence(text, (event.line,)),),
        sections=(Section("What it is", tuple(sentences)),) if sentences else (),
        remedies=remedies_for(event, kind_of_failure(event)),
    )


# Where each killer tells more, and what makes it act.
_LOOK = {
    "systemd-oomd": "oomctl and journalctl -u systemd-oomd show the thresholds; ManagedOOMPreference= spares a unit.",
    "earlyoom": "journalctl -u earlyoom has the lines before it; -m and -s set its thresholds, --avoid spares a name.",
    "nohang": "The lines above it name the victim and the threshold, with the memory pressure (PSI) if that decided.",
    "lmkd": "logcat -b all -s lmkd has the reason; processes with a high oom_score_adj (cached apps) go first.",
    "Android's low memory killer": "The lines below it give the cache, the limit and the free memory (minfree).",
    "Talos": "The line after it lists the processes; it ranks cgroups by their memory and their QoS class.",
    "kubelet": "The lines before it name the resource: 'attempting to reclaim' memory, or disk (ephemeral-storage).",
}


def _user_kill(event: OneLineEvent) -> tuple[str, list[Sentence]]:
    by, what = event.values["by"], event.values.get("what", "").strip().rstrip(",")
    pid = f" (pid {event.task.pid})" if event.task is not None and event.task.pid is not None else ""
    named = event.task.comm if event.task is not None else event.values.get("object")
    whom = f"{named}{pid}" if named else "a process that the lines above name"
    verb = "evicted" if by == "kubelet" else "killed"
    if "signal" in event.values:
        verb = f"sent {event.values['signal']} to"
    program = "" if by.startswith("Android") else ", a program and not the kernel,"  # that one was a driver
    text = f"{by}{program} {verb} {whom}"
    sentences = []
    if what:
        sentences.append(Sentence(f"Its reason: {what}.", (event.line,)))
    if event.values.get("reason"):
        sentences.append(Sentence(f"Its reason: {event.values['reason']}.", (event.line,)))
    if event.values.get("rss"):
        sentences.append(Sentence(f"That was to free {size(int(event.values['rss']))} of memory.", (event.line,)))
    sentences.append(Sentence(_LOOK[by]))
    return f"{text}. There is no OOM report of this.", sentences


def _error(code: int, address: str) -> str:
    """Return a sentence for a page fault's error code (arch/x86/include/asm/trap_pf.h)."""
    what = "ran code at" if code & 16 else "wrote to" if code & 2 else "read from"
    why = "a page that does not allow it" if code & 1 else "an address where nothing is mapped"
    return f"It {what} {why}: 0x{address}."
