# SPDX-License-Identifier: MIT
"""The progress of many runs: a live table on a terminal, elsewhere a line for each finished run."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rig.sanitize import plain
from rig.time_left import time_left

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from rig.errors import RigError
    from rig.run.document import Run

__all__ = ["ProgressTable"]

STYLES = {"reproduced": "green", "not-reproduced": "yellow", "invalid": "magenta", "error": "red"}


class ProgressTable:
    """A row a run: waiting, running, or its verdict with the time it took. quiet: only the final lines."""

    def __init__(self, console: Console, names: Sequence[str], *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._rows: dict[str, tuple[str, str, str]] = {name: ("waiting", "", "") for name in names}
        self._began: dict[str, float] = {}
        self._started = time.monotonic()
        self._ended = 0
        self._live: Any = None

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            from rich.live import Live

            self._live = Live(self._render(), console=self._console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, value, traceback)

    def began(self, name: str) -> None:
        """Record that a run has begun."""
        self._began[name] = time.monotonic()
        self._rows[name] = ("running", "", "")
        self._refresh()

    def ended(self, name: str, run: Run | None, error: RigError | None) -> None:
        """Record that a run has ended. run is None when it failed with `error`."""
        self._ended += 1
        took = f"{time.monotonic() - self._began[name]:.1f} s"
        if run is not None:
            failed = [claim.id for claim in run.claims if claim.verdict in ("failed", "invalid")]
            held = sum(claim.verdict == "held" for claim in run.claims)
            words = f"{held} claims held" + (f", not: {', '.join(failed)}" if failed else "")
            self._rows[name] = (run.verdict, took, words if not run.reason else f"{words}; {plain(run.reason)}")
        elif error is not None:
            self._rows[name] = ("error", took, plain(f"{error}"))
        self._refresh()
        if self._live is None:
            verdict, took, words = self._rows[name]
            print(f"{verdict:<15} {took:>7}  {name}  {words}", file=sys.stdout, flush=True)

    def _refresh(self) -> None:
        if self._live is not None:
            self._live.update(self._render())

    def _render(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        left = time_left(self._ended, len(self._rows) - self._ended, time.monotonic() - self._started)
        caption = Text(f"{self._ended} of {len(self._rows)} runs{left}", "dim")
        table = Table(box=None, header_style="dim", pad_edge=False, caption=caption, caption_justify="left")
        for title in ("scenario", "verdict", "host time", "claims"):
            table.add_column(title, justify="right" if title == "host time" else "left")
        for name, (verdict, took, words) in self._rows.items():
            table.add_row(name, Text(verdict, STYLES.get(verdict, "dim")), took, words)
        return table
