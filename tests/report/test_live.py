"""Progress: plain lines for logs, a live table for terminals, nothing for `-q`."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rig.report.live import NullProgress, PlainProgress, Progress, TerminalProgress, progress_for

SAMPLE = {
    "t": 14.25, "ev": "sample", "label": "filled", "meminfo": {"MemAvailable": 102400, "MemTotal": 477000},
    "procs": [{"comm": "parent", "rss_kb": 204800}],
}  # fmt: skip


class Ticks:
    """A clock that goes on by a second a look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def tell(progress: Progress) -> None:
    with progress:
        progress.phase("boot")
        progress.guest_time(12.5)
        progress.sample(SAMPLE)
        progress.line("\x1b[31mchild ready")


def test_plain_progress_is_lines_with_both_clocks() -> None:
    stream = io.StringIO()

    tell(PlainProgress(stream, Ticks()))

    assert stream.getvalue().splitlines() == [
        "[  1.000s] boot",
        "[  2.000s guest 14.250s] sample filled: 100.0 MB available; parent 200.0 MB",
        "[  3.000s guest 14.250s] child ready",
    ]


def test_terminal_progress_shows_memory_and_programs_and_clears_itself() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    progress = TerminalProgress(console, Ticks())

    with progress:
        progress.phase("plan")
        progress.sample(SAMPLE)
        with console.capture() as captured:
            console.print(progress._render())

    assert "plan" in captured.get()
    assert "100.0 MB available" in captured.get()
    assert "200.0 MB resident" in captured.get()
    assert stream.getvalue().endswith("\x1b[2K") or "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize(
    "nonsense", [{}, {"meminfo": 3, "procs": 4}, {"t": "x", "procs": [1, {"comm": 5, "rss_kb": {}}]}]
)
def test_sample_full_of_nonsense_is_shown_as_unknown(nonsense: dict[str, object]) -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, Ticks())

    progress.sample({"label": "x", **nonsense})

    assert "? available" in stream.getvalue()


def test_progress_fits_where_it_is_shown() -> None:
    assert isinstance(progress_for(Console(file=io.StringIO(), force_terminal=True)), TerminalProgress)
    assert isinstance(progress_for(Console(file=io.StringIO())), PlainProgress)
    assert isinstance(progress_for(Console(), quiet=True), NullProgress)
