# SPDX-License-Identifier: MIT
"""What `rig cure` prints: the remedies that were tried, the best first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.console import Console

    from rig.cure.cure import Cure, Result

__all__ = ["costs_of", "cure_document", "outcome_text", "print_cure"]

STYLES = {
    "prevented": "bold green", "refused earlier": "green", "another died": "yellow", "later": "yellow",
    "stalled": "magenta", "no difference": "dim", "worse": "bold red", "not applicable": "dim",
}  # fmt: skip


def print_cure(console: Console, found: Cure) -> None:
    """Print the failure, the table of remedies, and what was not tried."""
    console.print(Text(f"The failure: {plain(found.failure)} ({found.failed} of {found.of} timings)"), soft_wrap=True)
    console.print()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("outcome", "smallest that does it", "does not", "timings", "costs", "run"):
        table.add_column(title, overflow="fold")
    for result in found.results:
        table.add_row(*_cells(result))
    console.print(table)
    _print_list(console, "The budget did not suffice for", found.left)
    _print_list(console, "No run can try", found.not_played)
    _print_list(console, "What no run here shows of production", found.bounds)
    tried = len(found.results)
    console.print(
        f"\n{tried} remedies in {found.seconds:.0f} s; the control is run {found.control.run}", soft_wrap=True
    )


def outcome_text(result: Result) -> str:
    """Return the outcome with its detail."""
    outcome = result.outcome
    return f"{outcome.kind}: {outcome.detail}" if outcome.detail else outcome.kind


def _cells(result: Result) -> tuple[Text | str, ...]:
    outcome = result.outcome
    word = Text(outcome.kind, STYLES[outcome.kind])
    if outcome.detail:
        word.append(f": {plain(outcome.detail)}", style="not bold")
    return (
        word,
        plain(result.works.dose.text),
        plain(result.fails.dose.text) if result.fails is not None else "",
        f"{result.agree} of {result.of}",
        costs_of(result),
        result.works.run,
    )


def costs_of(result: Result) -> str:
    """Return what a remedy costs, in words; empty where nothing was measured."""
    outcome = result.outcome
    parts = []
    if abs(outcome.unusable_kb) >= 1024:
        more = "less" if outcome.unusable_kb > 0 else "more"
        parts.append(f"{abs(outcome.unusable_kb) // 1024} MB {more} memory")
    if outcome.slowdown is not None and not 0.95 <= outcome.slowdown <= 1.05:
        parts.append(f"{outcome.slowdown:.2f} of the time")
    return ", ".join(parts)


def _print_list(console: Console, title: str, items: tuple[str, ...]) -> None:
    if items:
        console.print(f"\n{title}:")
    for item in items:
        console.print(f"  {plain(item)}", soft_wrap=True)


def cure_document(found: Cure) -> str:
    """Return all results as JSON."""

    def entry(result: Result) -> dict[str, Any]:
        outcome = result.outcome
        return {
            "remedy": result.treatment.remedy,
            "changes": result.treatment.name,
            "outcome": outcome.kind,
            "detail": outcome.detail,
            "smallest": result.works.dose.text,
            "run": result.works.run,
            "largest_that_does_not": result.fails.dose.text if result.fails is not None else None,
            "run_that_does_not": result.fails.run if result.fails is not None else None,
            "timings": {"agree": result.agree, "of": result.of},
            "unusable_kb": outcome.unusable_kb,
            "slowdown": outcome.slowdown,
            "from_branch_point": result.works.late,
            "runs": result.runs,
        }

    return json.dumps(
        {
            "failure": found.failure,
            "control": {"run": found.control.run, "failed": found.failed, "of": found.of},
            "remedies": [entry(result) for result in found.results],
            "left": found.left,
            "not_played": found.not_played,
            "bounds": found.bounds,
            "host_seconds": found.seconds,
        },
        indent=1,
    )
