# SPDX-License-Identifier: MIT
"""Explanations in the terminal. The log's text is untrusted: it is printed without control characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from rig.klog.code import Instruction
from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation, Sentence
from rig.klog.explain.silent import SILENT_KILLERS
from rig.klog.explain.stalled import stalled_on_memory
from rig.klog.explain.storms import storms
from rig.report.explain_bars import picture_lines, picture_table
from rig.sanitize import plain

__all__ = ["events_table", "print_explanation", "print_nothing_found", "print_silent_killers", "print_storms"]


def events_table(events: Sequence[Event]) -> Table:
    """Return the events as a table: number, kind, time, lines, title, cause."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column("kind")
    table.add_column("time", justify="right")
    table.add_column("lines", justify="right")
    table.add_column("title", overflow="fold")
    for event in events:
        title = plain(event.title)
        if event.caused_by is not None:
            title += f" (came of {event.caused_by})"
        if event.corrupted:
            title += " (damaged)"
        time = f"{event.time:.3f}" if event.time is not None else plain(event.wall or "")
        table.add_row(str(event.number), event.kind, time, f"{event.line}-{event.last_line}", Text(title))
    return table


def print_explanation(
    console: Console, explanation: Explanation, event: Event, *, code: Sequence[Instruction] = ()
) -> None:
    """Print one explanation: summary, pictures, sections, remedies, checks, limits, lines not understood."""
    console.print(Text(f"Event {explanation.number}: {plain(explanation.title)}", style="bold"))
    for sentence in explanation.summary:
        console.print(_sentence(sentence, indent=2))
    for section in explanation.sections:
        console.print()
        console.print(Text(section.title, style="bold"))
        for sentence in section.sentences:
            console.print(_sentence(sentence, indent=2))
        if section.title == "Where the memory is":
            _print_pictures(console, explanation)
    if code:
        console.print()
        console.print(Text("The code that ran", style="bold"))
        for instruction in code:
            mark = ">" if instruction.trapped else " "
            console.print(Text(f"  {mark} {instruction.offset:+5d}  {plain(instruction.text)}"))
    if explanation.remedies:
        console.print()
        console.print(Text("What would have changed it", style="bold"))
        for remedy in explanation.remedies:
            quoted = f"\n  In a replica of this kind of failure: {plain(remedy.measured)}." if remedy.measured else ""
            console.print(_indented(Text(f"- {plain(remedy.what)}.\n  Cost: {plain(remedy.cost)}.{quoted}")))
    _print_checks(console, explanation)
    if explanation.limits:
        console.print()
        console.print(Text("What this log cannot say", style="bold"))
        for limit in explanation.limits:
            console.print(_indented(Text(f"- {plain(limit)}")))
    _print_unknown(console, event)


def _print_pictures(console: Console, explanation: Explanation) -> None:
    for picture in explanation.pictures:
        console.print()
        console.print(_indented(Text(picture.title, style="table.title")))
        console.print((picture_table if console.is_terminal else picture_lines)(picture, indent=2))


def _print_checks(console: Console, explanation: Explanation) -> None:
    failed = [check for check in explanation.checks if check.ok is False]
    if not explanation.checks:
        return
    console.print()
    good = sum(1 for check in explanation.checks if check.ok)
    console.print(
        Text(f"Self-checks: {good} of {len(explanation.checks)} hold", style="bold" if not failed else "bold red")
    )
    for check in failed:
        where = f" [{_numbers(check.lines)}]" if check.lines else ""
        console.print(_indented(Text(f"- not so: {plain(check.name)}: {plain(check.detail)}{where}", style="red")))


def _print_unknown(console: Console, event: Event) -> None:
    if not event.unknown:
        return
    console.print()
    console.print(Text("Lines within it that were not understood", style="bold"))
    for line in event.unknown[:20]:
        console.print(_indented(Text(f"{line.line:6d}: {plain(line.text)}", style="dim")))
    if len(event.unknown) > 20:
        console.print(_indented(Text(f"... and {len(event.unknown) - 20} more (--json has them all)", style="dim")))


def print_nothing_found(console: Console, lines: int, *, looks_like_text: bool = True) -> None:
    """Print that the log has no event, and what kills a process without a kernel message."""
    if not looks_like_text:
        console.print(Text("This does not look like a kernel log: it is not lines of text."))
        return
    console.print(Text(f"No event in {lines} lines: the kernel reports no OOM, crash, stall or refusal here."))
    print_silent_killers(console)


def print_storms(console: Console, events: Sequence[Event]) -> None:
    """Print which OOM reports are one shortage."""
    for storm in storms(events):
        console.print(Text(f"\n{plain(storm.text)}"))


def print_silent_killers(console: Console, events: Sequence[Event] = ()) -> None:
    """Print what kills a process without an OOM report, and where to look.

    events: those of the log; tasks among them that waited for memory are told first.
    """
    stalled = stalled_on_memory(events)
    if stalled is not None:
        console.print()
        console.print(_sentence(stalled, indent=0))
    console.print()
    console.print(Text("If a process vanished all the same, look at:", style="bold"))
    for what, where in SILENT_KILLERS:
        console.print(_indented(Text(f"- {what}:\n  {where}")))


def _sentence(sentence: Sentence, *, indent: int) -> RenderableType:
    text = Text(plain(sentence.text))
    if sentence.lines:
        text.append(f"  [{_numbers(sentence.lines)}]", style="dim")
    return _indented(text, indent)


def _indented(what: RenderableType, by: int = 2) -> Padding:
    return Padding(what, (0, 0, 0, by), expand=False)


def _numbers(lines: Iterable[int]) -> str:
    numbers = [str(line) for line in lines]
    return ("line " if len(numbers) == 1 else "lines ") + ", ".join(numbers)
