# SPDX-License-Identifier: MIT
"""Explain which task asked for memory, how much it asked for, and why."""

from __future__ import annotations

import re

from rig.klog.explain.explanation import Section, Sentence
from rig.klog.explain.words import size
from rig.klog.functions import PURPOSES, purpose_of
from rig.klog.oom.oom_event import OomEvent

__all__ = ["asked", "origin", "purpose"]

ZERO_PAGE = "the first write to a page of anonymous memory that it had only read: no page was shared since a fork"
_FAULT = re.compile(r"page_fault|do_user_addr_fault|handle_mm_fault|el0_da|do_mem_abort|do_translation_fault")


def asked(event: OomEvent) -> Section:
    """Return the section on the request: the task, the size, the cause and the conditions of the gfp flags."""
    sentences: list[Sentence] = []
    if event.invoker is None:
        sentences.append(Sentence("The line that says who asked for memory is not in this log."))
        return Section("What asked for memory", tuple(sentences))
    who = event.invoker.comm + (f" (pid {event.invoker.pid})" if event.invoker.pid is not None else "")
    if event.scope == "sysrq":
        sentences.append(
            Sentence("Memory had not run out: the OOM killer was invoked by hand (SysRq f).", (event.line,))
        )
        return Section("What asked for memory", tuple(sentences))
    if event.gfp_mask == 0:
        text = f"{who} did not ask for memory here: a page fault of its own failed for lack of memory (gfp_mask 0)."
        return Section("What asked for memory", (Sentence(text, (event.line,)),))
    order = event.order or 0
    amount = size(event.page_kb << order)
    pages = "one page" if order == 0 else f"{1 << order} pages in one piece (order {order})"
    sentences.append(Sentence(f"{who} asked for {pages}, {amount}.", (event.line,)))
    cause, lines = origin(event)
    if cause is not None:
        sentences.append(Sentence(f"It was {cause}.", lines))
    if event.gfp_decoded:
        names = "|".join(event.gfp_flags)
        sentences.append(Sentence(f"This kernel prints only the gfp mask, which stands for {names}.", (event.line,)))
    sentences.extend(_conditions(event.gfp_flags, event))
    if event.invoker.pid is not None and event.victim is not None and event.victim.pid != event.invoker.pid:
        sentences.append(
            Sentence(
                f"{event.invoker.comm} only asked last: the task that asks when nothing is left invokes the OOM "
                "killer, whether or not it holds the memory.",
                (event.line, event.victim.line),
            )
        )
    return Section("What asked for memory", tuple(sentences))


def purpose(event: OomEvent) -> tuple[str, tuple[int, ...]]:
    """Return why memory was requested, as a key of PURPOSES, and the lines that show it.

    The trace's functions decide; where none of them has a known purpose, the page fault and __GFP_ZERO do.
    Two more keys: `zero-page` for the first write to a page that was only read, and `fault` for a page fault of which
    no more is known. The key is empty where the report does not show why.
    """
    frames = [frame for frame in event.trace.frames if frame.reliable]
    purposes = [(purpose_of(frame.function), frame.line) for frame in frames]
    for key in PURPOSES:
        for found, line in purposes:
            if found == key:
                if key == "copy-on-write" and "__GFP_ZERO" in event.gfp_flags:
                    # wp_page_copy() (mm/memory.c) asks for a zeroed page where the zero page was mapped.
                    return "zero-page", (line, event.line)
                return key, (line,)
    fault = next((frame for frame in frames if _FAULT.search(frame.function)), None)
    if fault is not None:
        # Later kernels inline the fault handlers that would show the cause. The flags still show a first touch, for
        # which the page must be zeroed.
        if "__GFP_ZERO" in event.gfp_flags:
            return "anonymous", (fault.line, event.line)
        return "fault", (fault.line,)
    return "", ()


def origin(event: OomEvent) -> tuple[str | None, tuple[int, ...]]:
    """Return why memory was requested, in words, and the lines that show it; (None, ()) where it is not known."""
    key, lines = purpose(event)
    words = {
        **PURPOSES,
        "zero-page": ZERO_PAGE,
        "fault": "a page fault: it touched memory that had no page yet",
    }
    return words.get(key), lines


def _conditions(flags: tuple[str, ...], event: OomEvent) -> list[Sentence]:
    sentences = []
    if "GFP_HIGHUSER_MOVABLE" in flags or "GFP_HIGHUSER" in flags:
        sentences.append(Sentence("The page was for a program.", (event.line,)))
    elif any(flag.startswith(("GFP_KERNEL", "GFP_NOFS", "GFP_NOIO")) for flag in flags):
        sentences.append(
            Sentence(
                "The memory was for the kernel itself: it must be directly mapped and cannot be moved.",
                (event.line,),
            )
        )
    if any(flag.startswith("GFP_ATOMIC") for flag in flags):
        sentences.append(Sentence("It could not wait for memory to be freed (GFP_ATOMIC).", (event.line,)))
    if "__GFP_NOFAIL" in flags:
        sentences.append(Sentence("It must not fail (__GFP_NOFAIL): the kernel had to kill or wait.", (event.line,)))
    return sentences
