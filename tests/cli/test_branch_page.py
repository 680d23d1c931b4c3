# SPDX-License-Identifier: MIT
"""The page of a tree of runs, as `rig branch --html` writes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from rig.cli.branch import _show_tree
from rig.report.html import links, tree_page
from tests.report.test_tree import run


def test_reports_are_written_of_the_runs_that_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"20261125-20000{number}-abcd" for number in range(3)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(run(name, None if name == names[0] else names[0]).model_dump_json())
    written: list[str] = []

    def write(runs: Iterable[str], *, runs_of: Path) -> None:
        written.extend(runs)

    monkeypatch.setattr(links, "write_reports", write)
    monkeypatch.setattr(tree_page, "MOST_RUNS", 2)
    _show_tree(tmp_path / names[0], tmp_path / "tree.html")

    page = (tmp_path / "tree.html").read_text()
    assert written == [name for name in names if name in page] == names[:2]
