# SPDX-License-Identifier: MIT
"""What a user sees while a run goes on: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from rig.run.process_names import process_key, process_names
from rig.run.progress import NullProgress, Progress
from rig.run.records import Records
from rig.sanitize import plain
from rig.units import format_megabytes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["PlainProgress", "TerminalProgress", "progress_for"]

Clock = Callable[[], float]


class PlainProgress(NullProgress):
    """A line a phase and a line a labelled sample, for logs: no control codes."""

    def __init__(self, stream: TextIO | None = None, clock: Clock = time.monotonic) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._start = clock()
        self._guest: float | None = None

    def phase(self, name: str) -> None:
        self._say(name)

    def guest_time(self, seconds: float) -> None:
        self._guest = seconds

    def sample(self, record: Mapping[str, Any]) -> None:
        self._guest = _number(record.get("t"), self._guest)
        if label := record.get("label"):
            held = ", ".join(f"{role} {_megabytes(rss)}" for role, rss in _held(record).items())
            self._say(f"sample {plain(label)}: {_megabytes(_free(record))} available" + (f"; {held}" if held else ""))

    def line(self, text: str) -> None:
        self._say(plain(text))

    def _say(self, text: str) -> None:
        guest = "" if self._guest is None else f" guest {self._guest:.3f}s"
        # The reader of the pipe is gone: the run continues and is kept.
        with suppress(OSError, ValueError):
            # In one call, so that no interrupt comes between the line and its end.
            self._stream.write(f"[{self._clock() - self._start:7.3f}s{guest}] {text}\n")
            self._stream.flush()


class TerminalProgress(NullProgress):
    """A live view: phase, step, guest clock against host clock, the guest's memory by holder, the last lines."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        from rich.live import Live

        self._terminal = console
        self._clock = clock
        self._start = clock()
        self._phase = "start"
        self._step = ""
        self._guest: float | None = None
        self._samples: list[dict[str, Any]] = []
        self._pressure = ""
        self._parts: Mapping[str, int] = {}
        self._total = 0
        self._line = self._console_line = ""
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        try:
            self._live.start()
        except BaseException:
            # A signal may interrupt start() when the view is already on: __exit__() is not called then. stop() may
            # fail, because it removes a render hook that start() has not added yet; the cursor is shown by
            # cli/ending.py.
            with suppress(Exception):
                self._live.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._live.stop()

    def phase(self, name: str) -> None:
        self._phase = name

    def step(self, name: str) -> None:
        self._step = plain(name, longest=60)

    def guest_time(self, seconds: float) -> None:
        self._guest = seconds

    def sample(self, record: Mapping[str, Any]) -> None:
        from rig.run.records import Records
        from rig.telemetry.holders import held

        self._guest = _number(record.get("t"), self._guest)
        if label := record.get("label"):
            self._step = plain(label, longest=40)
        # Keep the first sample: the kernel's own memory is the use before any process of the scenario existed.
        self._samples = [*self._samples[:1], dict(record)]
        found = held(Records(tuple(self._samples)))
        if found:
            self._parts, self._total = found[-1].parts, found[-1].total
        self._pressure = _pressure(record)

    def line(self, text: str) -> None:
        self._line = plain(text, longest=200)

    def console(self, text: str) -> None:
        self._console_line = plain(text, longest=200)

    def _render(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        from rig.report.live_view import memory_rows

        def on_one_line(text: str) -> Text:
            return Text(text, overflow="ellipsis", no_wrap=True)

        memory = memory_rows(self._parts, self._total, self._terminal.width) if self._total else []
        table = Table.grid(padding=(0, 1))
        table.add_column(style="dim", no_wrap=True, min_width=max([8, *(len(name) for name, _ in memory)]))
        table.add_column(no_wrap=True)
        table.add_row("phase", Text.assemble((self._phase, "bold"), f"  {self._step}" if self._step else ""))
        table.add_row("clock", on_one_line(_clocks(self._guest, self._clock() - self._start)))
        for name, bar in memory:
            table.add_row(name, bar)
        if self._pressure:
            table.add_row("pressure", on_one_line(self._pressure))
        if self._line:
            table.add_row("said", on_one_line(self._line))
        if self._console_line:
            table.add_row("console", on_one_line(self._console_line))
        return table


def _clocks(guest: float | None, host: float) -> str:
    if guest is None:
        return f"host {host:.1f} s"
    return f"guest {guest:.1f} s · host {host:.1f} s"


def _pressure(record: Mapping[str, Any]) -> str:
    psi = record.get("psi")
    some = psi.get("some") if isinstance(psi, Mapping) else None
    share = some.get("avg10") if isinstance(some, Mapping) else None
    committed = _meminfo(record, "Committed_AS")
    parts = [f"tasks waited for memory {share:.1f} % of 10 s"] if isinstance(share, int | float) else []
    parts += [f"promised {_megabytes(committed)}"] if committed is not None else []
    return " · ".join(parts)


def progress_for(console: Console | None = None, *, quiet: bool = False) -> Progress:
    """Return the progress display: a live table on a terminal that can redraw, otherwise plain lines.

    console: where to print; by default standard error.
    quiet: display nothing.
    """
    if quiet:
        return NullProgress()
    if console is None:
        from rig.report.console import error_console

        console = error_console()
    redraws = console.is_terminal and not console.is_dumb_terminal
    return TerminalProgress(console) if redraws else PlainProgress()


def _held(record: Mapping[str, Any]) -> dict[str, int | None]:
    procs = record.get("procs")
    rows = [row for row in procs if isinstance(row, Mapping)] if isinstance(procs, list) else []
    shown = rows[:16]
    names = process_names(Records(items=({"ev": "sample", "procs": shown},)))
    said = [names.get(process_key(row)) or row.get("comm") or row.get("program") for row in shown]
    return {plain(name, longest=32): _whole(row.get("rss_kb")) for name, row in zip(said, shown, strict=True)}


def _free(record: Mapping[str, Any]) -> int | None:
    return _meminfo(record, "MemAvailable")


def _meminfo(record: Mapping[str, Any], name: str) -> int | None:
    meminfo = record.get("meminfo")
    return _whole(meminfo.get(name)) if isinstance(meminfo, Mapping) else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any, otherwise: float | None) -> float | None:
    return float(value) if isinstance(value, int | float) else otherwise


def _megabytes(kb: int | None) -> str:
    return "?" if kb is None else format_megabytes(kb << 10)
