# SPDX-License-Identifier: MIT
"""Untrusted text, of a guest or of another host, in files that other programs open."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rig.report.explain_html import html_report
from rig.run.records import Records
from rig.sanitize import for_spreadsheet
from rig.telemetry.timeline import write_timeline


@pytest.mark.parametrize("text", ["=1+1", "+1", "@SUM(A1)", "-1", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_takes_for_a_formula_is_escaped(text: str) -> None:
    assert for_spreadsheet(text) == "'" + text


@pytest.mark.parametrize("text", ["", "hog", "a=b", "1"])
def test_other_text_stays(text: str) -> None:
    assert for_spreadsheet(text) == text


def test_label_in_the_timeline_is_no_formula(tmp_path: Path) -> None:
    sample = {"n": 0, "t": 1.0, "ev": "sample", "label": "=HYPERLINK(1)", "meminfo": {"MemFree": 1}}

    write_timeline(Records((sample,)), tmp_path / "timeline.csv")

    with (tmp_path / "timeline.csv").open(newline="") as file:
        [_, row] = csv.reader(file)
    assert "'=HYPERLINK(1)" in row
    assert "=HYPERLINK(1)" not in row


def test_page_of_explain_runs_no_script() -> None:
    page = html_report([], [], heading="a log")

    assert "default-src 'none'" in page.partition("<title>")[0]
