# SPDX-License-Identifier: MIT
"""The table that the terminal shows while a sweep runs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rig.report.html.sweep_page import sweep_report
from rig.report.sweep_table import POINTS_A_TABLE, SweepTable, points_table, points_tables, shared_lines
from rig.sweep.row import Row
from rig.time_left import time_left
from tests.sweep.made import row


@pytest.mark.parametrize(
    ("done", "left", "seconds", "words"),
    [
        (0, 5, 10.0, ""),
        (5, 0, 10.0, ""),
        (1, 1, 0.1, ", about 1 s left"),
        (2, 10, 10.0, ", about 50 s left"),
        (10, 100, 60.0, ", about 10 min left"),
        (10, 10_000, 60.0, ", about 16.7 h left"),
    ],
)
def test_time_left_is_that_of_the_runs_so_far(done: int, left: int, seconds: float, words: str) -> None:
    assert time_left(done, left, seconds) == words


def test_runs_that_were_found_finished_do_not_count_as_fast_ones() -> None:
    out = io.StringIO()
    row = Row(point=0, repeat=0, settings={"hog": "1M"}, verdict="reproduced")

    with SweepTable(Console(file=out, force_terminal=True, width=100), ["hog"], 4) as table:
        table.ended(row)
        table.ended(row.model_copy(update={"repeat": 1}))
        assert table._fresh == 0
        table.began(object())
        table.ended(row.model_copy(update={"repeat": 2}))
        assert table._fresh == 1


def test_runs_that_began_at_a_branch_point_are_told_with_what_differs() -> None:
    [line] = shared_lines({"writing-starts": 2})

    assert line.startswith("2 of them began at 'writing-starts'")
    assert "--whole" in line
    assert shared_lines({}) == []


TIE = Row(
    point=0, repeat=0, settings={"hog": "1M"}, verdict="reproduced", oom_invoker="child", oom_victim="parent",
    oom_tied="child,hog",
)  # fmt: skip


def test_victim_of_a_tie_is_said_with_those_it_was_tied_with() -> None:
    out = io.StringIO()

    Console(file=out, width=120).print(points_table(["hog"], [TIE]))

    assert "child → parent, in a tie with child and hog" in out.getvalue()
    assert "parent, in a tie with child and hog was killed" in sweep_report(
        "x", "a sweep", [("hog", ("1M",))], {}, [TIE]
    )


def test_victim_that_was_in_no_tie_stands_alone() -> None:
    assert TIE.model_copy(update={"oom_tied": ""}).victim == "parent"


def test_tables_are_cut_by_the_count_of_points_whatever_their_numbers() -> None:
    sparse = [row(7 * POINTS_A_TABLE * number) for number in range(3)]
    assert [table.row_count for table in points_tables((), sparse)] == [3]
    dense = [row(point) for point in range(POINTS_A_TABLE + 1)]
    assert [table.row_count for table in points_tables((), dense)] == [POINTS_A_TABLE, 1]
    assert [table.row_count for table in points_tables((), [])] == [0]
