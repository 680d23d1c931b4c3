# SPDX-License-Identifier: MIT
"""What `rig branch` prints: the point, what became of each future, and whether the controls are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rig.machine.branch_point import size_on_disk
from rig.report.terminal import STYLES
from rig.sanitize import plain
from rig.units import format_size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rig.branch.futures import Future, Saved
    from rig.run.document import Run

__all__ = ["futures_table", "outcome_of", "print_controls", "print_saved"]


def print_saved(console: Console, saved: Saved) -> None:
    """Print where the futures begin, what the point takes on the disk, and whether its past is the run's."""
    point = saved.branch_point
    size = format_size(size_on_disk(point) >> 20 << 20)
    how = "saved" if saved.fresh else "in the cache"
    console.print(f"{plain(saved.point.text)}: {point.time:.3f} s of the guest's clock, {how}, {size} on the disk")
    if saved.past:
        console.print(f"the past is not the run's to the byte: {plain(saved.past)}")


def futures_table(futures: Sequence[Future]) -> Table:
    """Return a table with a row a future."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("run", "what is different", "verdict", "what happened", "guest", "host"):
        right = heading in ("guest", "host")
        table.add_column(heading, overflow="fold", justify="right" if right else "left", no_wrap=heading == "run")
    for each in futures:
        run = each.run
        table.add_row(
            Text(run.id, "bold"),
            plain(each.changes.label, longest=200),
            Text(run.verdict, STYLES[run.verdict]),
            outcome_of(run),
            "" if run.guest_seconds is None else f"{run.guest_seconds:.1f} s",
            "" if run.host_seconds is None else f"{run.host_seconds:.1f} s",
        )
    return table


def outcome_of(run: Run) -> str:
    """Return in one line what became of a run: the panic, the first OOM, or how its plan ended."""
    if run.panic:
        return plain(f"panic: {run.panic}", longest=80)
    if run.ooms:
        first = run.ooms[0]
        when = "" if first.time is None else f" at {first.time:.1f} s"
        return plain(f"OOM{when}: {first.invoker} → {first.victims}", longest=80)
    return plain(run.reason or run.end_reason or "no OOM", longest=80)


def print_controls(console: Console, count: int, difference: str) -> None:
    """Print whether the unchanged futures are the same to the byte."""
    if difference:
        console.print(f"the controls differ: {plain(difference)}")
    elif count > 1:
        console.print(f"{count} controls: the same to the byte, console and records")
