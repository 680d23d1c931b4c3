# SPDX-License-Identifier: MIT
"""What `rig reproduce` prints: the report's fields beside those of the run, and the verdict."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rig.sanitize import plain
from rig.units import format_size

if TYPE_CHECKING:
    from rich.console import Console

    from rig.reproduce.reproduce import Reproduction
    from rig.reproduce.smallest import Smallest

__all__ = ["print_reproduction", "reproduction_document"]

STYLES = {"agrees": "green", "differs": "bold red", "left out": "dim"}
WORDS = {True: ("reproduced", "bold green"), False: ("not reproduced", "bold yellow")}


def print_reproduction(console: Console, result: Reproduction, *, quiet: bool = False) -> None:
    """Print the verdict, and without `quiet` the table of fields and what was left out."""
    word, style = WORDS[result.agrees]
    if result.status == 3:
        word, style = "error", "bold red"
    if quiet:
        console.print(Text(word, style))
        return
    counts = {outcome: sum(each.outcome == outcome for each in result.compared) for outcome in STYLES}
    line = Text(word, style)
    line.append(
        f"  {counts['agrees']} fields agree, {counts['differs']} differ, {counts['left out']} left out",
        style="not bold",
    )
    console.print(line)
    if result.run.reason:
        console.print(Text(plain(result.run.reason)), soft_wrap=True)
    console.print()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("field", "report", "scaled", "run", "distance", ""):
        table.add_column(title, justify="right" if title == "distance" else "left", overflow="fold")
    for each in result.compared:
        table.add_row(
            plain(each.field), plain(each.report), each.scaled, plain(each.run), each.distance,
            Text(each.outcome, STYLES[each.outcome]),
        )  # fmt: skip
    console.print(table)
    _print_left_out(console, result)
    if result.smallest is not None:
        _print_smallest(console, result.smallest)
    replica = result.replica
    console.print(
        f"\nSizes divided by {replica.scale:.1f}; a guest of {format_size(replica.memory)}"
        + (f", a limit of {format_size(replica.limit)}" if replica.limit is not None else "")
        + f"; {result.runs} run{'s were' if result.runs > 1 else ' was'} tried. Sizes agree within 10 % of their "
        "own figure, or 1 % of the memory.",
        soft_wrap=True,
    )
    console.print(f"run {result.run.id}  {result.directory}\nscenario  {result.scenario}", soft_wrap=True)


def _print_smallest(console: Console, smallest: Smallest) -> None:
    """Print what is left, and how many runs of it were the same."""
    memory, before = smallest.played.replica.memory, smallest.memory_before
    guest = "" if memory == before else f", a guest of {format_size(memory)} in place of {format_size(before)}"
    console.print(
        f"\nSmallest: {len(smallest.left)} of {smallest.of} parts are needed{guest}; {smallest.probes} runs to find it;"
        f" {smallest.same} of {smallest.repeats} more runs are the same to the byte.",
        soft_wrap=True,
    )
    for part in smallest.left:
        console.print(f"  {plain(part.text)}", soft_wrap=True)
    if not smallest.complete:
        console.print("The budget did not suffice to try all: --budget.", soft_wrap=True)


def _print_left_out(console: Console, result: Reproduction) -> None:
    reasons = {(each.field, each.why): None for each in result.replica.left_out}
    reasons |= {(each.field, each.why): None for each in result.compared if each.why and each.report == "not shown"}
    if not reasons:
        return
    console.print("\nNot played:")
    for field, why in reasons:
        console.print(f"  {plain(field)}: {plain(why)}", soft_wrap=True)


def reproduction_document(result: Reproduction) -> str:
    """Return the result as JSON."""
    return json.dumps(
        {
            "reproduced": result.agrees,
            "run": result.run.id,
            "directory": str(result.directory),
            "scenario": str(result.scenario),
            "verdict": result.run.verdict,
            "reason": result.run.reason,
            "scale": result.replica.scale,
            "memory": result.replica.memory,
            "limit": result.replica.limit,
            "runs": result.runs,
            "fields": [asdict(each) for each in result.compared],
            "left_out": [asdict(each) for each in result.replica.left_out],
            "smallest": None if result.smallest is None else _smallest(result.smallest),
        },
        indent=1,
    )


def _smallest(found: Smallest) -> dict[str, Any]:
    return {
        "parts": [part.text for part in found.left],
        "of": found.of,
        "memory_before": found.memory_before,
        "probes": found.probes,
        "same": found.same,
        "repeats": found.repeats,
        "complete": found.complete,
    }
