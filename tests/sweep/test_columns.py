# SPDX-License-Identifier: MIT
"""The results of a sweep as CSV, as a DataFrame and in Parquet: the same columns, and CSV without any library."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.errors import RigError, UsageError
from rig.report.arrow_text import arrow_csv
from rig.scenario.load import load_scenario
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import SweepDirectory, new_sweep
from rig.sweep.frame import results_frame
from rig.sweep.journal import append_row
from rig.sweep.table import table_of
from tests.sweep import made


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDirectory:
    """A sweep of which three of four runs are done: one of them has neither claims nor times."""
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    found = new_sweep(SweepPlan(made.scenario(tmp_path), (Axis("size", ("4M", "8M")),), repeat=2))
    append_row(found.journal, made.row(0, 0, host_seconds=10))
    append_row(found.journal, made.row(0, 1, "error", reason="=1+1, broken", claims=(), host_seconds=None))
    append_row(found.journal, made.row(1, 0, settings={"size": "8M"}))
    return found


def test_csv_needs_no_library_and_is_what_pyarrow_would_write(
    sweep: SweepDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = arrow_csv(table_of(sweep.plan, load_scenario(sweep.plan.scenario), sweep.rows()))
    for module in ("pyarrow", "duckdb", "pandas"):
        monkeypatch.setitem(sys.modules, module, None)

    assert _run(["results", "last", "--csv"]) == 0

    printed = capsys.readouterr().out
    assert printed == expected
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert [row["size"] for row in rows] == ["4194304", "4194304", "8388608"]
    assert rows[0]["claims"] == "sampled=held"
    assert rows[1]["reason"] == "'=1+1, broken"


def test_frame_has_a_column_for_each_claim_and_number(sweep: SweepDirectory) -> None:
    frame = results_frame(sweep.id)

    assert list(frame["claim.sampled"].fillna("")) == ["held", "", "held"]
    assert frame["sampled.total"].sum() == 1000
    assert frame["host_seconds"].isna().tolist() == [False, True, False]
    assert frame["size"].dtype == "Int64"
    assert frame.groupby("size")["host_seconds"].median().tolist() == [10.0, 1.5]


def test_frame_of_a_sweep_that_is_not_there_is_a_usage_error(sweep: SweepDirectory) -> None:
    with pytest.raises(UsageError, match="no sweep 'nosuch'"):
        results_frame("nosuch")


def test_frame_without_pandas_names_the_extra(sweep: SweepDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(RigError) as caught:
        results_frame()

    assert "oomrig[frame]" in (caught.value.remedy or "")
