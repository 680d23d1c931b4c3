# SPDX-License-Identifier: MIT
"""How much memory processes have taken, as claims add it up."""

from __future__ import annotations

from typing import Any

import pytest

from rig.scenario.views import MissingRecord
from tests.scenario.recorded import Recorded, recorded
from tests.scenario.test_catalogue import setting
from tests.scenario.test_page_maps import call

KIB = 1024


def checked(vm_of_hog: int) -> Recorded:
    run = recorded("overcommit-oops").changed("check", setting(vm=82, taken_kb=300), comm="parent")
    return run.changed("check", setting(vm=vm_of_hog, taken_kb=400), comm="hog")


def test_what_two_processes_have_taken_is_added_up() -> None:
    assert call(checked(84), "taken_by", "parent", "hog") == 700 * KIB
    assert call(checked(84), "taken_by", "hog") == 400 * KIB


def test_processes_with_one_address_space_count_once() -> None:
    assert call(checked(82), "taken_by", "parent", "hog") == 400 * KIB


def test_record_of_an_agent_that_does_not_tell_the_address_space_counts_by_pid() -> None:
    run = recorded("overcommit-oops")

    assert call(run, "taken_by", "parent", "hog") == call(run, "taken_by", "parent") + call(run, "taken_by", "hog")


def renamed(run: Recorded, old: str, new: str) -> Recorded:
    """Return the run in which that process has another comm in its samples, and the hog has its comm."""

    def rows(sample: dict[str, Any]) -> list[dict[str, Any]]:
        swap = {"hog": old} | {old: new}
        return [{**row, "comm": swap.get(row["comm"], row["comm"])} for row in sample["procs"]]

    return run.with_records(
        {**each, "procs": rows(each)} if each["ev"] == "sample" and each.get("procs") else each for each in run.records
    )


def test_check_of_a_process_is_not_one_of_another_that_has_its_name_later() -> None:
    run = renamed(checked(84), "parent", "was-parent")
    without = run.with_records(each for each in run.records if (each["ev"], each.get("comm")) != ("check", "hog"))

    with pytest.raises(MissingRecord):
        call(without, "taken_by", "parent")
