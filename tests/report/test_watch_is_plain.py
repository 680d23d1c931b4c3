# SPDX-License-Identifier: MIT
"""No terminal control of a guest's or of an imported run's reaches the terminal through the live view."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rig.report.follow import replay
from rig.report.live import PlainProgress, TerminalProgress
from tests.scenario.recorded import recorded

EVIL = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202ekcab\x00"


def _evil(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _evil(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_evil(inner) for inner in value]
    return value + EVIL if isinstance(value, str) else value


@pytest.fixture
def evil_events(tmp_path: Path) -> Path:
    run = recorded("memory-is-copied")
    lines = [json.dumps({**_evil(record), "ev": record["ev"]}) for record in run.records]
    (tmp_path / "console.log").write_text("".join(f"[{n:5}.000000] {EVIL}\n" for n in range(30)))
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path / "events.jsonl"


def test_plain_log_of_a_run_has_no_controls(evil_events: Path) -> None:
    stream = io.StringIO()

    replay(evil_events, PlainProgress(stream), 0, sleep=lambda seconds: None)

    text = stream.getvalue()
    assert "parent" in text
    assert not {char for char in text if char in EVIL} & set("\x1b\x9b\x07\x00\u202e")


def test_live_view_of_a_run_has_no_controls_but_its_own(evil_events: Path) -> None:
    terminal = io.StringIO()
    progress = TerminalProgress(Console(file=io.StringIO(), width=100))
    shown = Console(file=terminal, width=100, color_system=None)

    replay(evil_events, progress, 0, sleep=lambda seconds: shown.print(progress._render()))

    text = terminal.getvalue()
    assert "parent" in text
    assert not set(text) & set("\x1b\x9b\x07\x00\u202e")
