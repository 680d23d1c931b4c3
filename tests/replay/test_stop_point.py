# SPDX-License-Identifier: MIT
"""Stop points as a user writes them, and marks as the console prints them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.replay.postmortem.pages import regions_of
from rig.replay.stop_point import StopPoint, check_reached, marks_of, parse_stop_point
from rig.run.document import Prefix, Run


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("oom", StopPoint("oom")),
        ("mark:writing-starts", StopPoint("mark", name="writing-starts")),
        ("t=275s", StopPoint("t", seconds=275)),
        ("t=2min", StopPoint("t", seconds=120)),
    ],
)
def test_stop_point_is_read_as_written(text: str, point: StopPoint) -> None:
    assert parse_stop_point(text) == point


@pytest.mark.parametrize("text", ["", "kill", "mark:", "t=", "t=soon"])
def test_what_is_no_place_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_stop_point(text)


def test_marks_are_those_of_the_console_in_order(tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text(
        "[    7.1] EXT4-fs\r\n[   10.816477] rig: mark writing-starts\r\n[   11.0][   T1] rig: mark over\r\nrig: mark x\r\n"
    )

    assert marks_of(tmp_path) == ("writing-starts", "over")


@pytest.mark.parametrize(
    "point", [StopPoint("t", seconds=5), StopPoint("mark", name="early"), StopPoint("fork")], ids=str
)
def test_what_came_before_the_recording_is_a_usage_error(point: StopPoint, tmp_path: Path) -> None:
    (tmp_path / "console.log").write_text("[    5.000000] rig: mark early\r\n[   11.000000] rig: mark late\r\n")
    prefix = Prefix(point="here", key="k", step=3, time=10.0)
    run = Run(
        id="x", scenario="s", started="", verdict="reproduced", prefix=prefix, guest_seconds=20.0, roles={"child": 83}
    )
    (tmp_path / "events.jsonl").write_text('{"n":0,"t":7.5,"ev":"sample","procs":[{"pid":82},{"pid":83}]}\n')

    with pytest.raises(UsageError, match=r"the recording begins at 10\.0 s") as refused:
        check_reached(run, tmp_path, point)

    assert "--no-prefix" in str(refused.value.remedy)
    check_reached(run, tmp_path, StopPoint("mark", name="late"))
    check_reached(run.model_copy(update={"roles": {"child": 99}}), tmp_path, StopPoint("fork"))  # made later


def test_regions_are_the_programs_last_word_and_nonsense_is_passed_over() -> None:
    lines = [
        {"ev": "line", "pid": 7, "text": "region array 7f0000000000 1000"},
        {"ev": "line", "pid": 7, "text": "region array 7f0000001000 2000"},
        {"ev": "line", "pid": 7, "text": "region array zz 2000"},
        {"ev": "line", "pid": 8, "text": "region array ffffffffffffffff ffffffffffffffff"},
        {"ev": "line", "text": "region array 1000 1000"},
    ]

    (region,) = regions_of(lines)

    assert (region.pid, region.start, region.length) == (7, 0x7F0000001000, 0x2000)
