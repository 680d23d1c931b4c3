# SPDX-License-Identifier: MIT
"""How much memory processes have taken, as claims add it up."""

from __future__ import annotations

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
