# SPDX-License-Identifier: MIT
"""What an earlier rig wrote still loads: run directories, sweeps, a threshold search, an archive (golden/README.md)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rig.run.directory import list_runs
from tests.calling import Call, calling

GOLDEN = Path(__file__).parent / "golden"
OOM, PANIC = "20261125-154735-enps", "20261125-154737-rugb"
SWEEP, SEARCH = "20261125-154739-vg6u", "20261125-154743-7e4s"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "runs", tmp_path / "runs"))


@pytest.fixture
def rig(runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("RIG_RUNS", str(runs))
    monkeypatch.setenv("RIG_CACHE", str(runs.parent / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return calling(capsys)


def test_run_directories_are_listed_with_their_verdicts(runs: Path) -> None:
    listed = {each.id: each.run.verdict if each.run else each.problem for each in list_runs(runs)}

    assert listed == {OOM: "reproduced", PANIC: "not-reproduced"}


@pytest.mark.parametrize("run", [OOM, PANIC])
def test_run_is_reported_as_a_page(rig: Call, run: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    written = rig("report", run, "--output", str(page))

    assert written.returncode == 0, written.stderr
    assert run in page.read_text(encoding="utf-8")


def test_two_runs_are_compared(rig: Call) -> None:
    compared = rig("compare", OOM, PANIC)

    assert compared.returncode == 0, compared.stderr
    assert "vm.panic_on_oom" in compared.stdout


def test_sweep_and_its_table_are_shown(rig: Call, runs: Path) -> None:
    shown = rig("results", SWEEP)
    table = rig("results", str(runs / "sweeps" / SWEEP / "results.parquet"), "--csv")

    assert (shown.returncode, table.returncode) == (0, 0), shown.stderr + table.stderr
    assert len(table.stdout.splitlines()) == 1 + 4
    assert "reproduced" in shown.stdout


@pytest.mark.parametrize("sweep", [SWEEP, SEARCH])
def test_sweep_is_reported_as_a_page(rig: Call, sweep: str, tmp_path: Path) -> None:
    page = tmp_path / "sweep.html"

    written = rig("report", sweep, "--output", str(page))

    assert written.returncode == 0, written.stderr
    assert "hog" in page.read_text(encoding="utf-8")


def test_archive_is_imported(rig: Call, runs: Path) -> None:
    imported = rig("import", str(GOLDEN / "run.tar.zst"))

    assert imported.returncode == 0, imported.stderr
    kept = json.loads((runs / "20261125-154738-aec7" / "run.json").read_text(encoding="utf-8"))
    assert (kept["scenario"], kept["verdict"]) == ("fd-passing", "reproduced")
