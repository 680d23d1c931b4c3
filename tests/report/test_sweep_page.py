# SPDX-License-Identifier: MIT
"""The HTML report of a sweep: one cell per point, unstable points marked, and a link in every cell."""

from __future__ import annotations

import re

from rig.report.html.sweep_page import grids, sweep_report
from rig.run.document import Claimed, Verdict
from rig.sweep.row import Row
from tests.report.made_directory import EVIL

AXES = [("kernel", ("a", "b")), ("hog", ("1M", "200M")), ("memory", ("384M", "512M"))]


def row(point: int, kernel: str, hog: str, memory: str, verdict: Verdict = "reproduced", repeat: int = 0) -> Row:
    claim = Claimed(id="x", text=f"it came{EVIL}", verdict="failed" if verdict == "not-reproduced" else "held")
    settings = {"kernel": kernel, "hog": hog, "memory": memory}
    return Row(point=point, repeat=repeat, settings=settings, verdict=verdict, run=f"run-{point}-{repeat}",
               oom_invoker=EVIL, guest_seconds=250.0 + repeat, host_seconds=3.0, claims=(claim,))  # fmt: skip


ROWS = [
    row(0, "a", "1M", "384M", "not-reproduced"),
    row(1, "a", "1M", "512M", "not-reproduced", 0),
    row(1, "a", "1M", "512M", "reproduced", 1),
    row(5, "b", "1M", "512M"),
]


def test_kernels_stand_side_by_side_with_a_cell_a_point() -> None:
    first, second = grids(AXES, ROWS)

    assert (first.title, second.title) == ("kernel=a", "kernel=b")
    assert [[cell.letters for cell in cells] for _, cells in first.lines] == [["N", "NR"], ["", ""]]
    assert second.lines[0][1][1].css == "reproduced"


def test_point_whose_runs_disagree_is_unstable() -> None:
    cell = grids(AXES, ROWS)[0].lines[0][1][1]

    assert (cell.css, cell.words) == ("unstable", "1 not-reproduced, 1 reproduced")


def test_every_cell_leads_to_its_runs_on_the_page() -> None:
    page = sweep_report("overcommit-oops", "s", AXES, {"every": "5s"}, ROWS)

    targets = set(re.findall(r'href="#(point-\d+)"', page))
    assert targets == {"point-0", "point-1", "point-5"}
    assert targets <= set(re.findall(r'id="([^"]+)"', page))
    assert "rig report run-1-1" in page
    assert "250.0 to 251.0 s" in page


def test_hostile_names_add_no_element() -> None:
    page = sweep_report(EVIL, EVIL, AXES, {EVIL: EVIL}, ROWS)

    assert "<script" not in page
    assert "<img" not in page


def test_sweep_without_axes_or_rows_is_still_a_page() -> None:
    assert "The points" in sweep_report("x", "s", [], {}, [])
