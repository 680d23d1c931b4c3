# SPDX-License-Identifier: MIT
"""What may differ in a future, and the steps that come of it."""

from __future__ import annotations

import pytest

from rig.branch.changes import Changes, plan_future
from rig.branch.origin import Source
from rig.branch.point import find_point, named_points
from rig.errors import UsageError


def lines(source: Source, *sets: str) -> list[str]:
    return plan_future(source, find_point(source, "here"), Changes(sets)).continuation.text.splitlines()


def test_points_are_marks_and_labels_that_something_follows(source: Source) -> None:
    assert named_points(source.plan) == {"here": 2}


def test_control_goes_on_with_the_same_steps(source: Source) -> None:
    assert lines(source) == ["wait_line\tprogram=p\ttext=x\ttimeout=5\twas=3", "sleep\tseconds=1", "mark\tname=last"]


def test_later_parameter_changes_the_later_step(source: Source) -> None:
    assert "sleep\tseconds=9" in lines(source, "late=9")


def test_sysctl_is_set_first_and_that_of_the_past_is_left_alone(source: Source) -> None:
    future = plan_future(source, find_point(source, "here"), Changes(("vm.swappiness=0",)))

    assert future.continuation.text.splitlines()[0] == "sysctl\tname=vm.swappiness\tvalue=0"
    assert future.continuation.first == 3
    assert dict(future.plan.steps[0].words)["value"] == "10"
    assert future.settings.sysctls["vm.swappiness"] == "0"


def test_parameter_that_was_used_is_refused_with_the_step(source: Source) -> None:
    with pytest.raises(UsageError, match="early was used before 'here': by step 1 of the plan") as error:
        lines(source, "early=2")

    assert "spawn" in (error.value.detail or "")


@pytest.mark.parametrize("setting", ["memory=384M", "kernel=debian:sid", "zram=64M"])
def test_guest_cannot_differ(source: Source, setting: str) -> None:
    with pytest.raises(UsageError, match="cannot differ in a future"):
        lines(source, setting)


def test_unknown_point_names_those_that_there_are(source: Source) -> None:
    with pytest.raises(UsageError, match="no point 'her'") as error:
        find_point(source, "her")

    assert "here" in (error.value.detail or "")
