# SPDX-License-Identifier: MIT
"""The HTML page of a threshold search: areas of verdicts, the measured and the predicted line, and damaged input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.report.html.frontier_page import drawn, frontier_report
from rig.report.html.links import link_beside
from rig.sweep.directory import FRONTIER
from rig.sweep.frontier.document import Frontier, read_frontier
from tests.report.made_directory import EVIL
from tests.report.test_sweep_page import ROWS

MB = 1 << 20


def edge(below: str, above: str, low: int, predicted: float | None) -> dict[str, Any]:
    text = None if predicted is None else f"{predicted:.1f}M"
    return {
        "from": below, "to": above, "low": f"{low}M", "high": f"{low + 8}M", "low_value": low * MB,
        "high_value": (low + 8) * MB, "predicted": text, "off_by": None if predicted is None else "+1.0M",
        "predicted_value": None if predicted is None else predicted * MB,
    }  # fmt: skip


def content(**changes: Any) -> dict[str, Any]:
    at = [{"memory": "448M"}, {"memory": "512M"}, {"memory": "4G"}]
    curves = [
        {"at": at[0], "edges": [edge("reproduced", "invalid", 160, 167.2)], "foreseen": [
            {"from": "reproduced", "to": "invalid", "value": 167.2 * MB}],
         "points": [{"value": 0, "verdicts": ["reproduced"]}, {"value": 240 * MB, "verdicts": ["invalid"]}]},
        {"at": at[1], "edges": [edge("not-reproduced", "reproduced", 32, None), edge("reproduced", "invalid", 224, 229)],
         "foreseen": [{"from": "not-reproduced", "to": "reproduced", "value": 40 * MB}], "points": []},
        {"at": at[2], "edges": [], "foreseen": [{"from": "reproduced", "to": "invalid", "value": 200 * MB}],
         "points": [{"value": 0, "verdicts": ["not-reproduced"]}]},
    ]  # fmt: skip
    axis = {"name": "hog", "kind": "size", "low": 0, "high": 240 * MB, "resolution": 8 * MB}
    return {"schema_version": 1, "scenario": "overcommit-oops", "fixed": {}, "axis": axis, "curves": curves} | changes


def frontier(**changes: Any) -> Frontier:
    return Frontier.model_validate(content(**changes))


def test_areas_change_in_the_middle_of_an_edge() -> None:
    row = drawn(frontier()).rows[1]

    assert [(round(area.left), round(area.left + area.width), area.letter) for area in row.areas] == [
        (0, 15, "N"), (15, 95, "R"), (95, 100, "I"),
    ]  # fmt: skip


def test_curve_without_an_edge_is_of_the_verdict_of_its_runs() -> None:
    assert [(area.width, area.verdict) for area in drawn(frontier()).rows[2].areas] == [(100, "not-reproduced")]


def test_line_goes_through_the_rows_and_breaks_where_one_has_no_edge() -> None:
    lines = {line.kind: line for line in drawn(frontier()).lines}

    assert lines["reproduced", "invalid"].found == "M683.3 4L683.3 36L950.0 44L950.0 76"
    assert lines["not-reproduced", "reproduced"].found == "M150.0 44L150.0 76"


def test_foreseen_line_has_what_was_not_found_too() -> None:
    lines = {line.kind: line for line in drawn(frontier()).lines}

    assert lines["reproduced", "invalid"].foreseen == "M696.7 4L696.7 36L954.2 44L954.2 76L833.3 84L833.3 116"
    assert lines["not-reproduced", "reproduced"].foreseen == "M166.7 44L166.7 76"


def test_page_has_the_numbers_and_what_was_foreseen_in_vain() -> None:
    page = frontier_report(frontier(), "20250131-f", [])

    assert "<td>160M and 168M</td><td>167.2M</td>" in page
    assert "<td>32M and 40M</td><td>no rule</td>" in page
    assert "memory=4G: foreseen at 200M and not found: reproduced to invalid." in page
    assert "memory=4G: no change of verdict in the range." in page


def test_frontier_without_any_prediction_has_no_dashed_line() -> None:
    curves = [{"at": {}, "edges": [edge("reproduced", "invalid", 160, None)]}]

    page = frontier_report(frontier(curves=curves), "f", ROWS)

    assert 'class="foreseen"' not in page
    assert "dashed" not in page[page.index("<body>") :]


def test_axis_without_length_has_no_picture() -> None:
    axis = {"name": "hog", "kind": "size", "low": 5, "high": 5, "resolution": 1}

    assert drawn(frontier(axis=axis)).rows == ()


def test_hostile_names_are_text() -> None:
    curves = [{"at": {EVIL: EVIL}, "edges": [edge(EVIL, EVIL, 160, 3)], "points": [{"value": 1, "verdicts": [EVIL]}]}]

    page = frontier_report(frontier(scenario=EVIL, fixed={EVIL: EVIL}, curves=curves), EVIL, [])

    assert "<script" not in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a frontier"),
        (json.dumps({"schema_version": 1}), "not a frontier: scenario: is missing"),
        (json.dumps(content(schema_version=2)), "schema version 2, this rig reads 1"),
    ],
)
def test_damaged_frontier_names_its_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / FRONTIER).write_text(text)

    with pytest.raises(RigError, match=message) as raised:
        read_frontier(tmp_path)

    assert str(tmp_path / FRONTIER) in str(raised.value)


def test_frontier_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be read"):
        read_frontier(tmp_path)


def test_link_leads_to_a_report_that_is_written_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.html").write_text("")
    link = link_beside(tmp_path / "sweeps" / "s", runs_of=tmp_path)

    assert link("a") == "../../a/report.html"
    assert [link(name) for name in ("b", "", "../a")] == [None, None, None]
