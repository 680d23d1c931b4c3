# SPDX-License-Identifier: MIT
"""Progress: plain lines for logs, a live table for terminals, nothing for `-q`."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from rig.report.live import PlainProgress, TerminalProgress, progress_for
from rig.run.progress import NullProgress, Progress

SAMPLE = {
    "t": 14.25, "ev": "sample", "label": "filled", "meminfo": {"MemAvailable": 102400, "MemTotal": 477000},
    "procs": [{"comm": "parent", "rss_kb": 204800}],
}  # fmt: skip


MEMINFO = {"MemTotal": 480256, "MemFree": 447000, "AnonPages": 1000, "Cached": 900}
BEFORE = {"t": 7.0, "ev": "sample", "label": "start", "meminfo": MEMINFO, "procs": []}
FORKED = {
    "t": 8.0, "ev": "sample", "label": "forked",
    "meminfo": MEMINFO | {"MemFree": 242200, "AnonPages": 205800, "Committed_AS": 412000},
    "psi": {"some": {"avg10": 1.5}},
    "procs": [
        {"program": "cow-writer", "comm": name, "pid": pid, "rss_kb": 204900, "anon_kb": 204800}
        for name, pid in (("parent", 1), ("child", 2))
    ],
}  # fmt: skip


class Ticks:
    """A clock that advances by one second with each reading."""

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


def seen(width: int, **options: Any) -> str:
    """Return what a terminal shows after two samples, a line of a program and a line of the console."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, **options)
    progress = TerminalProgress(console, Ticks())
    progress.phase("plan")
    for record in (BEFORE, FORKED):
        progress.sample(record)
    progress.line("cow-writer: \x1b[31mchild ready")
    progress.console("[    8.000000] \x1b]0;evil\x07rig: mark forked" + "x" * 500)
    with console.capture() as captured:
        console.print(progress._render())
    return captured.get()


def test_live_view_shows_who_holds_the_guests_memory_and_what_is_shared_once() -> None:
    lines = seen(100, color_system=None).splitlines()

    names = ["phase", "clock", "memory", "kernel and the rest", "parent and child, shared", "free", "pressure"]
    assert [line[:25].strip() for line in lines] == [*names, "said", "console"]
    bar = lines[2][25:85]
    assert (bar.count("▓"), bar.count("═"), bar.count("·")) == (4, 26, 30)
    assert lines[4].split()[-2:] == ["200.0", "MB"]


@pytest.mark.parametrize("width", [100, 60, 40, 24])
def test_live_view_fits_its_terminal(width: int) -> None:
    lines = seen(width, color_system=None).splitlines()

    assert max(map(len, lines)) <= width
    assert len(lines) <= 10


def test_live_view_passes_no_control_of_the_guests_on() -> None:
    text = seen(100, color_system=None)

    assert "\x07" not in text
    assert "\x1b" not in text
    assert "evil" not in text


def test_live_view_without_colour_tells_holders_apart_by_letter() -> None:
    text = seen(100, no_color=True)

    assert "═" in text
    assert "·" in text
    assert "▓" in text
    assert "\x1b[3" not in text


def test_terminal_progress_clears_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)

    with TerminalProgress(console, Ticks()) as progress:
        progress.phase("plan")
        progress.sample(FORKED)

    assert "\x1b[2K" in stream.getvalue()


@pytest.mark.parametrize(
    "nonsense", [{}, {"meminfo": 3, "procs": 4}, {"t": "x", "procs": [1, {"comm": 5, "rss_kb": {}}]}]
)
def test_sample_full_of_nonsense_is_shown_as_unknown(nonsense: dict[str, object]) -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream, Ticks())

    progress.sample({"label": "x", **nonsense})

    assert "? available" in stream.getvalue()


def test_progress_fits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")

    assert isinstance(progress_for(Console(file=io.StringIO(), force_terminal=True)), TerminalProgress)
    assert isinstance(progress_for(Console(file=io.StringIO())), PlainProgress)
    assert isinstance(progress_for(Console(), quiet=True), NullProgress)


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_terminal_that_cannot_redraw_gets_plain_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)

    assert isinstance(progress_for(Console(file=io.StringIO(), force_terminal=True)), PlainProgress)
