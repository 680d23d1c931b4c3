# SPDX-License-Identifier: MIT
"""Explain events that consist of one line."""

from __future__ import annotations

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation, Section, Sentence
from rig.klog.explain.remedies import remedies_for
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
        remedies=remedies_for(event),
    )


def _error(code: int, address: str) -> str:
    """Return a sentence for a page fault's error code (arch/x86/include/asm/trap_pf.h)."""
    what = "ran code at" if code & 16 else "wrote to" if code & 2 else "read from"
    why = "a page that does not allow it" if code & 1 else "an address where nothing is mapped"
    return f"It {what} {why}: 0x{address}."
