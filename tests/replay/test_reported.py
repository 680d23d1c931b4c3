# SPDX-License-Identifier: MIT
"""A post-mortem without symbols: the page maps and samples that the guest reported nearest to the stop point."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.errors import UsageError
from rig.replay.postmortem.examine import post_mortem_without_symbols
from rig.replay.stop_point import parse_stop_point
from rig.report.postmortem import render_post_mortem
from rig.run.directory import read_run
from rig.run.postmortem import PostMortem
from tests.report.made_directory import write_directory


def _reported(directory: Path, point: str) -> PostMortem:
    return post_mortem_without_symbols(read_run(directory), directory, parse_stop_point(point), "no symbols here")


def _own(found: PostMortem, name: str) -> int:
    array = next(each for each in found.arrays if each.names == (name,))
    return array.count(0, "own")


def test_at_the_oom_tasks_are_the_reports_and_pages_those_of_the_oom(tmp_path: Path) -> None:
    found = _reported(write_directory(tmp_path / "run"), "oom")

    assert found.source == "records"
    assert _own(found, "child") == 5632
    assert {array.label for array in found.arrays} == {"oom"}
    assert any("no symbols here" in note for note in found.notes)
    assert any("OOM report" in note for note in found.notes)
    assert found.task == "child"


def test_at_a_time_pages_and_tasks_are_those_nearest_to_it(tmp_path: Path) -> None:
    found = _reported(write_directory(tmp_path / "run"), "t=70s")

    assert _own(found, "child") == 2048
    assert found.arrays[0].time == pytest.approx(69.9)
    assert {task.name for task in found.tasks} >= {"parent", "child"}
    assert not any("OOM report" in note for note in found.notes)


def test_moment_that_no_record_tells_is_said_and_nothing_is_made_up(tmp_path: Path) -> None:
    found = _reported(write_directory(tmp_path / "run"), "fork")

    assert any("no record tells" in note for note in found.notes)
    assert found.arrays == ()
    assert found.tasks == ()


def test_map_that_goes_on_in_another_record_is_one(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    records: list[dict[str, Any]] = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    for record in records:
        if record["ev"] == "pagemap" and record["label"] == "oom":
            record["last"] = False
            more = {**record, "runs": [[8, "none"]], "last": True}
    records.insert(len(records) - 2, more)
    text = "".join(json.dumps({**record, "n": number}) + "\n" for number, record in enumerate(records))
    (directory / "events.jsonl").write_text(text)

    found = _reported(directory, "oom")

    array = next(each for each in found.arrays if each.names == ("child",))
    assert array.count(0, "absent") == 8
    assert array.length == (51200 + 8) * 4096


def test_text_says_where_it_comes_from_and_when(tmp_path: Path) -> None:
    text = "\n".join(str(part) for part in render_post_mortem(_reported(write_directory(tmp_path / "run"), "oom")))

    assert "from what the guest said itself" in text
    assert "(oom, at 161.100 s): 51,200 pages" in text


@pytest.mark.parametrize(
    ("point", "words"), [("panic", "did not panic"), ("mark:nowhere", "no mark"), ("t=1s", "begins at 6.2 s")]
)
def test_stop_point_that_the_run_has_not_is_a_usage_error(point: str, words: str, tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")

    with pytest.raises(UsageError, match=words):
        _reported(directory, point)
