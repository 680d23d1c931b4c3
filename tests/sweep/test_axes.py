# SPDX-License-Identifier: MIT
"""The points of a sweep: axes from the command line and from a file, and usage errors before any guest starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario.load import load_scenario
from rig.sweep.axes import Axis, SweepPlan, check_plan, parse_axes, read_plan
from rig.sweep.execute import tasks_of
from tests.sweep import made


def test_points_are_the_product_with_the_last_axis_fastest() -> None:
    plan = SweepPlan("x", parse_axes(["a=1,2", "b=3,4"]))

    assert [tuple(value for _, value in point) for point in plan.points()] == [
        ("1", "3"), ("1", "4"), ("2", "3"), ("2", "4"),
    ]  # fmt: skip


def test_file_gives_axes_settings_and_explicit_points(tmp_path: Path) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(
        'scenario = "overcommit-oops"\nrepeat = 3\n[set]\nvm.swappiness = 10\n'
        '[over]\nmemory = ["384M", "512M"]\n[[points]]\nhog = "1M"\n'
    )

    plan = read_plan(file)

    assert plan.axes == (Axis("memory", ("384M", "512M")),)
    assert plan.fixed == (("vm.swappiness", "10"),)
    assert plan.extra == ((("hog", "1M"),),)
    assert plan.size == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "'nonsense' is not an axis"),
        ("memory=", "product of the axes would be empty"),
        ("memory=1,,2", "empty value"),
        ("memory=1,1", "is given twice"),
    ],
)
def test_axis_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_axes([text])


def test_axis_that_stands_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="'a' is given twice"):
        parse_axes(["a=1", "a=2"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("over = 3", "over: is not a table"),
        ('[over]\nmemory = "384M"', "over.memory: an axis is a list"),
        ("[over]\nmemory = []", "product of the axes is empty"),
        ("ovr = 1", "unknown key 'ovr'"),
        ("repeat = 0", "repeat: is not a number"),
        ("points = [1]", "points are tables"),
        ("[over", "not valid TOML"),
    ],
)
def test_file_that_is_no_sweep_is_refused_with_its_place(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(content)

    with pytest.raises(UsageError, match=message) as caught:
        read_plan(file, "overcommit-oops")

    assert str(file) in str(caught.value)


def refusal(plan: SweepPlan) -> str:
    with pytest.raises(UsageError) as caught:
        check_plan(plan, load_scenario("overcommit-oops"))
    return str(caught.value)


def test_axis_that_does_not_exist_is_refused_with_the_nearest_name() -> None:
    message = refusal(SweepPlan("overcommit-oops", (Axis("hogg", ("1M",)),)))

    assert "there is no axis 'hogg'" in message
    assert "hog" in message.split("(")[-1]


def test_empty_product_is_refused() -> None:
    assert "the product is empty" in refusal(SweepPlan("overcommit-oops"))


def test_value_that_its_parameter_does_not_take_is_refused() -> None:
    assert "--over hog=many" in refusal(SweepPlan("overcommit-oops", (Axis("hog", ("many",)),)))


def test_guest_that_cannot_be_had_is_refused() -> None:
    assert "--over cpus=none" in refusal(SweepPlan("overcommit-oops", (Axis("cpus", ("none",)),)))


def test_setting_that_is_an_axis_too_is_refused() -> None:
    message = refusal(SweepPlan("overcommit-oops", (Axis("hog", ("1M",)),), fixed=(("hog", "2M"),)))

    assert "'hog' is both a setting and an axis" in message


def test_ten_thousand_runs_are_begun_only_on_request() -> None:
    values = tuple(f"{number}ms" for number in range(1, 101))
    plan = SweepPlan("overcommit-oops", (Axis("every", values),), repeat=100)
    scenario = load_scenario("overcommit-oops")

    with pytest.raises(UsageError, match="that is 10000 runs") as caught:
        check_plan(plan, scenario)
    check_plan(plan, scenario, yes=True)

    assert caught.value.remedy is not None
    assert "--yes" in caught.value.remedy


def test_scenario_directory_is_named_whole_in_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made.scenario(tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = SweepPlan("./waits", (Axis("size", ("4M", "8M")),), repeat=2)

    tasks = tasks_of(plan, load_scenario("./waits"))

    assert {task.scenario for task in tasks} == {str(tmp_path / "waits")}
    assert [task.key for task in tasks] == [(0, 0), (0, 1), (1, 0), (1, 1)]
