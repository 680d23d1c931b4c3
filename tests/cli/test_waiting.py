# SPDX-License-Identifier: MIT
"""The line that says how far work on many bytes is: on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rig.cli import waiting
from rig.cli.waiting import Waiting

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
