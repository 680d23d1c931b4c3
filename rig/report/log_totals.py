# SPDX-License-Identifier: MIT
"""What many logs hold together: events by kind, OOM kills by cause, by the name of who was killed, and by host."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from rig.sanitize import plain

__all__ = ["LogSummary", "count_event", "print_totals", "totals_document"]

VERSION = 1  # of totals_document()'s form
_NOT_NAMED = "(not in the log)"
_TOP = 20  # rows of a table
_BROKEN = 10  # broken files that are named


@dataclass
class LogSummary:
    """The counts of one log or of several. Summaries can be added up.

    kinds: events by kind. causes, killed, hosts: OOM reports by cause, by the victim's name, by host.
    broken: (file, why) of logs that could not be read to their end; what was read of them is counted.
    """

    files: int = 0
    lines: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: LogSummary) -> None:
        """Add the counts of another summary."""
        self.files += other.files
        self.lines += other.lines
        for name in ("kinds", "causes", "killed", "hosts"):
            getattr(self, name).update(getattr(other, name))
        self.broken += other.broken


def count_event(summary: LogSummary, event: Event, explanation: Explanation) -> None:
    """Add one event to a summary."""
    summary.kinds[event.kind] += 1
    if isinstance(event, OomEvent) and event.kind is Kind.OOM:
        summary.causes[explanation.cause or "unknown"] += 1
        summary.killed[event.victim.comm if event.victim is not None else "(nobody)"] += 1
        summary.hosts[event.host or _NOT_NAMED] += 1


def totals_document(summary: LogSummary) -> str:
    """Return the summary as JSON: `rig explain --recursive DIR --json`."""
    value = {
        "schema": VERSION,
        "files": summary.files,
        "lines": summary.lines,
        "events_by_kind": dict(summary.kinds.most_common()),
        "oom_by_cause": dict(summary.causes.most_common()),
        "oom_by_killed": dict(summary.killed.most_common()),
        "oom_by_host": dict(summary.hosts.most_common()),
        "broken": [{"file": file, "why": why} for file, why in sorted(summary.broken)],
    }
    return json.dumps(value, indent=2)


def print_totals(console: Console, summary: LogSummary) -> None:
    """Print the summary as tables."""
    events = sum(summary.kinds.values())
    console.print(f"{summary.files:,} files, {summary.lines:,} lines, {events:,} events")
    _print_table(console, "Events by kind", "kind", summary.kinds.most_common())
    _print_table(console, "OOM reports by cause", "cause", summary.causes.most_common())
    _print_table(console, "OOM reports by who was killed", "killed", summary.killed.most_common())
    _print_table(console, "OOM reports by host", "host", summary.hosts.most_common())
    if summary.broken:
        count = len(summary.broken)
        console.print(Text(f"\n{count} file{'s' if count > 1 else ''} could not be read to the end:", style="bold"))
        for file, why in sorted(summary.broken)[:_BROKEN]:
            console.print(Text(f"  {plain(file)}: {plain(why)}"))
        if count > _BROKEN:
            console.print(f"  and {count - _BROKEN} more (--json names them all)")


def _print_table(console: Console, title: str, what: str, rows: Iterable[tuple[str, int]]) -> None:
    rows = list(rows)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("count", justify="right")
    table.add_column(what, overflow="fold")
    for name, count in rows[:_TOP]:
        table.add_row(f"{count:,}", Text(plain(name)))
    if len(rows) > _TOP:
        table.add_row(f"{sum(count for _name, count in rows[_TOP:]):,}", f"({len(rows) - _TOP} others)")
    console.print(Text(f"\n{title}", style="bold"))
    console.print(table)
