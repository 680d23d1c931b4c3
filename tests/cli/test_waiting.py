# SPDX-License-Identifier: MIT
"""How far long work is, and when it ends: work on many bytes, and the packages of a build."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from rig.cli import app, waiting
from rig.cli.build_progress import BuildProgress
from rig.cli.waiting import Waiting
from rig.image import cache_lock
from rig.image.buildroot.make import Step

MB = 1 << 20


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> str:
    clock = iter(range(100))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: float(next(clock)))
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    with Waiting(console) as line:
        line.at(100 * MB, 500 * MB)
        line.at(250 * MB, 500 * MB)
        console.print(line._status.renderable if terminal else "")
    return out.getvalue()


def test_line_has_what_is_done_and_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "250.0 MB of 500.0 MB, about 2 s left" in shown(monkeypatch, terminal=True)


def test_nothing_is_written_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False).strip() == ""


def test_build_says_how_many_packages_are_left_and_for_how_long() -> None:
    progress = BuildProgress(Console(file=io.StringIO(), force_terminal=True, width=120))
    progress.expect(12)

    for number, package in enumerate(("host-gcc", "busybox", "dropbear")):
        progress.step(Step(package, "1.0", "Extracting"), 60.0 * number)

    assert str(progress.status.status) == "  2:00  dropbear 1.0: Extracting  package 3 of 12, about 10 min left"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run overcommit-oops", True),
        ("run overcommit-oops -q", False),
        ("verify --quiet", False),
        ("exec -- grep -q x", True),
        ("exec -q -- true", False),
    ],
)
def test_wait_for_another_rig_is_said_unless_quiet(
    words: str, said: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def waits(**_: object) -> None:
        cache_lock.logger.warning(cache_lock.WAITING, "a process", "a lock")

    monkeypatch.setattr(app.typer.main, "get_command", lambda _: SimpleNamespace(main=waits, get_params=lambda _: []))

    assert app._run(words.split()) == 0

    assert bool(caplog.messages) == said
