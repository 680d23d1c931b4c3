# SPDX-License-Identifier: MIT
"""The live table of the catalogue's runs says how long the rest will take."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rig.report.progress_table import ProgressTable
from tests.report.made_directory import made_run


def _shown(table: ProgressTable) -> str:
    stream = io.StringIO()
    Console(file=stream, width=100).print(table._render())
    return stream.getvalue()


def test_table_counts_runs_and_estimates_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("rig.report.progress_table.time.monotonic", lambda: now[0])
    table = ProgressTable(Console(file=io.StringIO()), ["a", "b", "c"])
    table.began("a")

    before = _shown(table)
    now[0] += 10
    table.ended("a", made_run(), None)

    assert "0 of 3 runs" in before
    assert "left" not in before
    assert "1 of 3 runs, about 20 s left" in _shown(table)
