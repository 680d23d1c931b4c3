"""What a person sees while a run goes on: one object that a terminal, a plain log and nothing can each be."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from rig.report.sanitize import plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["NullProgress", "PlainProgress", "Progress", "TerminalProgress", "progress_for"]

Clock = Callable[[], float]


class Progress(Protocol):
    """What an experiment tells while it runs. A context manager: what it shows is gone when it is left."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def phase(self, name: str) -> None:
        """A new phase has begun: `build image`, `boot`, `restore`, `plan`, `judge`."""

    def guest_time(self, seconds: float) -> None:
        """The guest's clock, in seconds since its boot."""

    def sample(self, record: Mapping[str, Any]) -> None:
        """A sample of the agent, as it came."""

    def line(self, text: str) -> None:
        """A line worth keeping: a program's, or the rig's own."""

    def console(self, text: str) -> None:
        """A line of the guest's console: there may be hundreds, and console.log has them."""


class NullProgress:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def phase(self, name: str) -> None:
        return

    def guest_time(self, seconds: float) -> None:
        return

    def sample(self, record: Mapping[str, Any]) -> None:
        return

    def line(self, text: str) -> None:
        return

    def console(self, text: str) -> None:
        return


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
        print(f"[{self._clock() - self._start:7.3f}s{guest}] {text}", file=self._stream, flush=True)


class TerminalProgress(NullProgress):
    """A live table: phase, guest clock against host clock, the guest's memory, what each program holds."""

    def __init__(self, console: Console, clock: Clock = time.monotonic) -> None:
        from rich.live import Live

        self._clock = clock
        self._start = clock()
        self._phase = "start"
        self._guest: float | None = None
        self._total: int | None = None
        self._available: int | None = None
        self._programs: dict[str, int | None] = {}
        self._line = ""
        self._live = Live(
            console=console,
            get_renderable=self._render,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def phase(self, name: str) -> None:
        self._phase = name

    def guest_time(self, seconds: float) -> None:
        self._guest = seconds

    def sample(self, record: Mapping[str, Any]) -> None:
        self._guest = _number(record.get("t"), self._guest)
        self._available = _free(record)
        self._total = _meminfo(record, "MemTotal")
        self._programs = _held(record)

    def line(self, text: str) -> None:
        self._line = plain(text, longest=200)

    def console(self, text: str) -> None:
        self.line(text)

    def _render(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        host = self._clock() - self._start
        table = Table.grid(padding=(0, 2))
        table.add_row(Text("phase", "dim"), Text(self._phase, "bold"))
        clocks = f"host {host:.1f} s"
        if self._guest is not None:
            clocks = f"guest {self._guest:.1f} s, {clocks}"
        table.add_row(Text("clock", "dim"), Text(clocks))
        if self._total and self._available is not None:
            table.add_row(Text("memory", "dim"), _bar(self._available, self._total, "available"))
        for role, rss in self._programs.items():
            table.add_row(Text(plain(role), "dim"), _bar(rss or 0, self._total or 1, "resident"))
        if self._line:
            table.add_row(Text("said", "dim"), Text(self._line, overflow="ellipsis", no_wrap=True))
        return table


def progress_for(console: Console, *, quiet: bool = False) -> Progress:
    """Return what fits: nothing when quiet, the live table on a terminal, else plain lines on standard error."""
    if quiet:
        return NullProgress()
    return TerminalProgress(console) if console.is_terminal else PlainProgress()


def _bar(part: int, whole: int, what: str) -> Any:
    from rich.text import Text

    cells = 24
    filled = max(0, min(cells, round(cells * part / whole)))
    return Text.assemble(("█" * filled, "cyan"), ("░" * (cells - filled), "dim"), f" {_megabytes(part)} {what}")


def _held(record: Mapping[str, Any]) -> dict[str, int | None]:
    procs = record.get("procs")
    rows = [row for row in procs if isinstance(row, Mapping)] if isinstance(procs, list) else []
    return {plain(row.get("comm") or row.get("program"), longest=16): _whole(row.get("rss_kb")) for row in rows[:16]}


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
    return "?" if kb is None else f"{kb / 1024:.1f} MB"
