# SPDX-License-Identifier: MIT
"""The reports to which a page with several runs leads."""

from __future__ import annotations

from pathlib import Path

from rig.report.html.links import write_reports
from tests.report.made_directory import write_directory


def test_reports_are_written_where_they_lack_and_a_damaged_run_has_none(tmp_path: Path) -> None:
    whole, there, damaged = (f"20261125-20000{number}-abcd" for number in range(3))
    for name in (whole, there, damaged):
        write_directory(tmp_path / name)
    (tmp_path / there / "report.html").write_text("earlier")
    (tmp_path / damaged / "run.json").write_text("{")

    write_reports([whole, there, damaged], runs_of=tmp_path)

    assert "<html" in (tmp_path / whole / "report.html").read_text()
    assert (tmp_path / there / "report.html").read_text() == "earlier"
    assert not (tmp_path / damaged / "report.html").exists()


def test_no_report_is_written_outside_of_the_directory_of_runs(tmp_path: Path) -> None:
    write_directory(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()

    write_reports(["../elsewhere"], runs_of=tmp_path / "runs")

    assert not (tmp_path / "elsewhere" / "report.html").exists()
