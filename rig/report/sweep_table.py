# SPDX-License-Identifier: MIT
"""A sweep's progress and its result: a row for each point, with the spread of its runs."""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from statistics import median
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rig.report.progress_table import STYLES
from rig.sanitize import plain
from rig.time_left import time_left

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rig.sweep.row import Row

__all__ = ["SweepTable", "points_table", "points_tables", "shared_lines"]

POINTS_A_TABLE = 1000
MOST_ROWS = 40
NEWEST = 2000
"""Rows that the live table is made of: without their claims, 7 MB of memory."""


def points_tables(names: Sequence[str], rows: Iterable[Row]) -> Iterator[Table]:
    """Yield the table of points_table() in parts of POINTS_A_TABLE points: rich holds some 4 kB for each point."""
    points = groupby(rows, key=attrgetter("point"))
    # By their count: the points of a threshold search are numbered with gaps.
    parts = groupby(enumerate(points), key=lambda numbered: numbered[0] // POINTS_A_TABLE)
    none = True
    for _, part in parts:
        none = False
        yield points_table(names, (row for _, (_, runs) in part for row in runs))
    if none:
        yield points_table(names, ())


def points_table(names: Sequence[str], rows: Iterable[Row]) -> Table:
    """Return a table with a row a point; a point whose runs do not agree is marked `unstable`.

    rows: sorted by point.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    for title in ("verdict", "runs", "OOM, or why not", "guest", "host"):
        table.add_column(title, justify="right" if title in ("guest", "host") else "left")
    for _, each in groupby(rows, key=attrgetter("point")):
        runs = [row.model_copy(update={"claims": ()}) for row in each]
        counts = Counter(row.verdict for row in runs)
        verdict, count = counts.most_common(1)[0]
        spread = f"{count} of {len(runs)}"
        if len(counts) > 1:
            spread += " unstable: " + ", ".join(f"{n} {name}" for name, n in counts.most_common())
        ooms = Counter(f"{row.oom_invoker} → {row.victim or 'panic'}" for row in runs if row.oom_invoker)
        what = "; ".join(plain(pair) for pair, _ in ooms.most_common(2)) or plain(runs[0].reason, longest=60)
        table.add_row(
            *(plain(runs[0].settings.get(name, "–")) for name in names),
            Text(verdict, STYLES.get(verdict, "")),
            Text(spread, "bold magenta" if len(counts) > 1 else "dim"),
            what,
            _spread([row.guest_seconds for row in runs]),
            _spread([row.host_seconds for row in runs]),
        )
    return table


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    if len(known) == 1:
        return f"{known[0]:.1f} s"
    return f"{median(known):.1f} s ({min(known):.1f}–{max(known):.1f})"


class SweepTable:
    """Rows as they come: a live table on a terminal, a line each elsewhere. quiet: nothing."""

    def __init__(self, console: Console, names: Sequence[str], total: int, *, quiet: bool = False) -> None:
        self._console = console
        self._names = names
        self._total = total
        self._quiet = quiet
        self._count = 0
        self._rows: deque[Row] = deque(maxlen=NEWEST)
        self._running = 0
        self._began = time.monotonic()
        self._fresh = 0
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            from rich.live import Live

            self._live = Live(console=self._console, refresh_per_second=4, transient=True)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, value, traceback)

    def began(self, task: object) -> None:
        """Record that a run has begun."""
        self._running += 1
        self._refresh()

    def ended(self, row: Row) -> None:
        """Record that a run has ended, or that an earlier sweep has finished it."""
        self._count += 1
        if self._live is not None:
            self._rows.append(row.model_copy(update={"claims": ()}))
        self._fresh += self._running > 0
        self._running = max(0, self._running - 1)
        self._refresh()
        if self._live is None and not self._quiet:
            where = " ".join(f"{name}={plain(value)}" for name, value in row.settings.items())
            took = "" if row.host_seconds is None else f"{row.host_seconds:.1f} s"
            words = plain(row.reason, longest=120)
            print(f"[{self._count}/{self._total}] {row.verdict:<15} {took:>7}  {where}  {words}".rstrip(),
                  file=sys.stdout, flush=True)  # fmt: skip

    def _refresh(self) -> None:
        if self._live is None:
            return
        from rich.console import Group
        from rich.text import Text

        left = time_left(self._fresh, self._total - self._count, time.monotonic() - self._began)
        done = Text(f"{self._count} of {self._total} runs, {self._running} running{left}", "dim")
        newest = set(list(dict.fromkeys(row.point for row in self._rows))[-MOST_ROWS:])
        rows = sorted((row for row in self._rows if row.point in newest), key=attrgetter("point"))
        self._live.update(Group(points_table(self._names, rows), done))


def shared_lines(points: Mapping[str, int]) -> list[str]:
    """Return what is to be known of the numbers of runs that began at a branch point.

    points: name of the point -> number of runs.
    """
    return [
        f"{count} of them began at '{name}', a saved point, and not at the boot; sizes after it may differ by some"
        " pages from those of whole runs (rig help branch), which --whole makes"
        for name, count in points.items()
    ]
