# SPDX-License-Identifier: MIT
"""What an earlier rig wrote still loads: run directories, sweeps, a threshold search, an archive (golden/README.md)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.run.directory import list_runs

GOLDEN = Path(__file__).parent / "golden"
OOM, PANIC = "20261125-154735-enps", "20261125-154737-rugb"
SWEEP, SEARCH = "20261125-154739-vg6u", "20261125-154743-7e4s"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "runs", tmp_path / "runs"))


def rig(runs: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RIG_RUNS": str(runs), "RIG_CACHE": str(runs.parent / "cache"), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "rig", *words], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_run_directories_are_listed_with_their_verdicts(runs: Path) -> None:
    listed = {each.id: each.run.verdict if each.run else each.problem for each in list_runs(runs)}

    assert listed == {OOM: "reproduced", PANIC: "not-reproduced"}


@pytest.mark.parametrize("run", [OOM, PANIC])
def test_run_is_reported_as_a_page(runs: Path, run: str, tmp_path: Path) -> None:
    page = tmp_path / "report.html"

    written = rig(runs, "report", run, "--output", str(page))

    assert written.returncode == 0, written.stderr
    assert run in page.read_text(encoding="utf-8")


def test_two_runs_are_compared(runs: Path) -> None:
    compared = rig(runs, "compare", OOM, PANIC)

    assert compared.returncode == 0, compared.stderr
    assert "vm.panic_on_oom" in compared.stdout


def test_sweep_and_its_table_are_shown(runs: Path) -> None:
    shown = rig(runs, "results", SWEEP)
    table = rig(runs, "results", str(runs / "sweeps" / SWEEP / "results.parquet"), "--csv")

    assert (shown.returncode, table.returncode) == (0, 0), shown.stderr + table.stderr
    assert len(table.stdout.splitlines()) == 1 + 4
    assert "reproduced" in shown.stdout


@pytest.mark.parametrize("sweep", [SWEEP, SEARCH])
def test_sweep_is_reported_as_a_page(runs: Path, sweep: str, tmp_path: Path) -> None:
    page = tmp_path / "sweep.html"

    written = rig(runs, "report", sweep, "--output", str(page))

    assert written.returncode == 0, written.stderr
    assert "hog" in page.read_text(encoding="utf-8")


def test_archive_is_imported(runs: Path) -> None:
    imported = rig(runs, "import", str(GOLDEN / "run.tar.zst"))

    assert imported.returncode == 0, imported.stderr
    kept = json.loads((runs / "20261125-154738-aec7" / "run.json").read_text(encoding="utf-8"))
    assert (kept["scenario"], kept["verdict"]) == ("fd-passing", "reproduced")
