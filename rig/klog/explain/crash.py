# SPDX-License-Identifier: MIT
"""Explain a crash: what it is, where it happened, what is conspicuous about it."""

from __future__ import annotations

from rig.klog.crash.crash_event import CrashEvent
from rig.klog.demangle import demangle
from rig.klog.explain.explanation import Explanation, Section, Sentence
from rig.klog.explain.taint import taints
from rig.klog.panic import PanicEvent

__all__ = ["explain_crash"]

# Values that the kernel writes into freed, unlinked or uninitialised memory (include/linux/poison.h).
_POISON = (
    (0x6B6B6B6B, "0x6b is what the slab allocator fills freed memory with: use after free"),
    (0x5A5A5A5A, "0x5a is what the slab allocator fills unused memory with: it was never initialised"),
    (0xDEAD000000000100, "this is LIST_POISON1: the entry was already taken off its list"),
    (0xDEAD000000000122, "this is LIST_POISON2: the entry was already taken off its list"),
)  # fmt: skip


def explain_crash(event: CrashEvent) -> Explanation:
    """Explain a crash, a warning or a stall."""
    sections = [Section("What it is", tuple(_what(event))), Section("Where it was", tuple(_where(event)))]
    if event.trace.frames:
        path = [frame for frame in event.trace.frames if frame.reliable][:12]
        sections.append(
            Section(
                "The way there, innermost first",
                tuple(
                    Sentence(
                        demangle(frame.function)
                        + (f" [{frame.module}]" if frame.module else "")
                        + (f" at {frame.source}" if frame.source else ""),
                        (frame.line,),
                    )
                    for frame in path
                ),
            )
        )
        if not path:
            maybe = event.trace.frames[:6]
            words = "The unwinder is sure of none of the entries; found on the stack, perhaps left over, were: "
            found = Sentence(
                words + ", ".join(demangle(frame.function) for frame in maybe), tuple(frame.line for frame in maybe)
            )
            sections[-1] = Section("The way there", (found,))
    return Explanation(
        number=event.number,
        kind=event.kind,
        title=event.title,
        summary=_summary(event),
        sections=tuple(sections),
        limits=tuple(_limits(event)),
    )


def _summary(event: CrashEvent) -> tuple[Sentence, ...]:
    who = f" while {event.task.comm} (pid {event.task.pid}) ran" if event.task is not None else ""
    blame = f"; {event.function}() is to blame, as far as the trace tells" if event.function else ""
    sentences = [Sentence(f"{event.title}{who}{blame}.", (event.line,))]
    if event.corrupted:
        sentences.append(Sentence(f"The report is damaged: {event.corruption}.", (event.line, event.last_line)))
    return tuple(sentences)


def _what(event: CrashEvent) -> list[Sentence]:
    sentences = [Sentence(event.kind.meaning, (event.line,))]
    if isinstance(event, PanicEvent):
        sentences.append(Sentence(f"Its last words: {event.reason}", (event.line,)))
        if event.by_oom:
            sentences.append(
                Sentence(
                    "Memory had run out. With vm.panic_on_oom the kernel stops the machine rather than "
                    "kill; without anybody "
                    "left to kill it has no other way.",
                    (event.line,),
                )
            )
    if event.caused_by is not None:
        sentences.append(Sentence(f"It came of event {event.caused_by}: read that one first.", (event.line,)))
    if event.address is not None:
        sentences += _address(event)
    if event.oops_count is not None and event.oops_count > 1:
        sentences.append(
            Sentence(
                f"It is oops number {event.oops_count} since boot: an earlier one may have caused it.",
                (event.line,),
            )
        )
    return sentences


def _address(event: CrashEvent) -> list[Sentence]:
    address = event.address or 0
    for poison, words in _POISON:
        if address >> 32 == poison or (poison > 1 << 32 and 0 <= address - poison < 0x100):
            return [Sentence(f"The address 0x{address:x} tells why: {words}.", (event.line,))]
    if address < 4096:
        return [
            Sentence(
                f"The address 0x{address:x} is a small offset from NULL: a pointer was NULL, and the "
                f"field at {address} bytes "
                "was wanted.",
                (event.line,),
            )
        ]
    if 0x0000_8000_0000_0000 <= address < 0xFFFF_8000_0000_0000:
        return [Sentence(f"The address 0x{address:x} is not canonical: no pointer can look like it.", (event.line,))]
    return [Sentence(f"The address was 0x{address:x}.", (event.line,))]


def _where(event: CrashEvent) -> list[Sentence]:
    sentences = []
    if event.cpu is not None and event.task is not None:
        sentences.append(Sentence(f"On CPU {event.cpu}, for {event.task.comm} (pid {event.task.pid}).", (event.line,)))
    if event.file:
        sentences.append(Sentence(f"The file to blame, as far as the report tells: {event.file}.", (event.line,)))
    if event.workqueue:
        sentences.append(Sentence(f"In a work item: {event.workqueue}.", (event.line,)))
    if event.kernel:
        sentences.append(Sentence(f"Kernel {event.kernel}.", (event.line,)))
    if event.hardware:
        sentences.append(Sentence(f"Hardware: {event.hardware}.", (event.line,)))
    sentences += [Sentence(words, (event.line,)) for words in taints(event.taint)]
    modules = sorted({frame.module for frame in event.trace.frames if frame.module and frame.reliable})
    if modules:
        sentences.append(Sentence(f"Modules on the stack: {', '.join(modules)}.", (event.trace.line or event.line,)))
    return sentences or [Sentence("The report does not tell.", (event.line,))]


def _limits(event: CrashEvent) -> list[str]:
    limits = ["Who made the mistake: the function named is where it showed, not always where it was made."]
    if not any(frame.source for frame in event.trace.frames):
        limits.append("Files and lines: give the kernel's vmlinux with --vmlinux.")
    if not event.trace.frames:
        limits.append("How the kernel came there: there is no trace.")
    return limits
