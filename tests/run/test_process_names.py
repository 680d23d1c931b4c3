# SPDX-License-Identifier: MIT
"""Each process of a run has a name of its own, however many share its comm."""

from __future__ import annotations

from typing import Any

from rig.run.process_names import process_names
from rig.run.records import Records


def records(*items: dict[str, Any]) -> Records:
    return Records(items=items)


def sample(*procs: dict[str, Any]) -> dict[str, Any]:
    return {"n": 0, "t": 0.0, "ev": "sample", "procs": list(procs)}


def spawn(program: str, pid: int) -> dict[str, Any]:
    return {"n": 0, "t": 0.0, "ev": "spawn", "program": program, "pid": pid}


def test_process_is_called_by_its_last_comm() -> None:
    before, after = {"program": "cow", "comm": "cow", "pid": 5}, {"program": "cow", "comm": "parent", "pid": 5}

    assert process_names(records(spawn("cow", 5), sample(before), sample(after))) == {("cow", 5): "parent"}


def test_program_that_no_sample_has_is_called_by_its_own_name() -> None:
    assert process_names(records(spawn("hog", 7))) == {("hog", 7): "hog"}


def test_two_programs_of_one_comm_are_told_apart_by_program() -> None:
    rows = ({"program": "outsider", "comm": "hog", "pid": 5}, {"program": "hog", "comm": "hog", "pid": 6})

    assert list(process_names(records(sample(*rows))).values()) == ["outsider/hog", "hog"]


def test_processes_of_one_program_and_comm_are_told_apart_by_pid() -> None:
    rows = [{"program": "pool", "comm": "worker", "pid": pid} for pid in (5, 6)]

    assert list(process_names(records(sample(*rows))).values()) == ["worker (5)", "worker (6)"]


def test_pid_that_is_used_again_by_another_program_is_another_process() -> None:
    rows = ({"program": "a", "comm": "x", "pid": 5}, {"program": "b", "comm": "y", "pid": 5})

    assert list(process_names(records(sample(rows[0]), sample(rows[1]))).values()) == ["x", "y"]


def test_rows_that_are_no_processes_are_passed_over() -> None:
    assert process_names(records(sample({"comm": "x"}, {"pid": "5"}), {"n": 0, "t": 0, "ev": "sample"})) == {}
