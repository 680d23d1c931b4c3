# SPDX-License-Identifier: MIT
"""`rig new`: a directory that loads and renders as it is, from nothing and from a report of production."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.new import new_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from tests.klog import made


def loaded(directory: Path) -> Scenario:
    scenario = load_scenario(str(directory))
    render_plan(scenario, parse_settings(scenario))
    return scenario


def log_of(tmp_path: Path, tasks: tuple[made.MadeTask, ...] = made.TASKS) -> Path:
    path = tmp_path / "dmesg.txt"
    path.write_bytes(made.serial(made.oom_report(tasks)))
    return path


def test_new_scenario_loads_and_renders_as_it_is(tmp_path: Path) -> None:
    directory = new_scenario("mine", tmp_path)

    scenario = loaded(directory)

    assert scenario.name == "mine"
    assert "rig run ./mine" in scenario.story()
    assert "@NAME@" not in "".join(path.read_text() for path in directory.iterdir())


@pytest.mark.parametrize("name", ["", "Mine", "a/b", "..", "1st", "a b"])
def test_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a scenario's name"):
        new_scenario(name, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_directory_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()

    with pytest.raises(UsageError, match="there already"):
        new_scenario("mine", tmp_path)

    assert (tmp_path / "mine" / "kept").exists()


def test_scenario_from_a_log_has_the_sizes_and_the_victim_of_the_report(tmp_path: Path) -> None:
    scenario = loaded(new_scenario("prod", tmp_path, from_log=log_of(tmp_path)))

    shown = {name: parameter.default for name, parameter in scenario.parameters.items()}
    assert shown == {"parent_size": "201M", "hog_size": "161M"}
    assert scenario.file.guest.memory == (511 + 96) << 20
    same = next(claim for claim in scenario.claims if claim.claim.id == "same-victim")
    assert "killed parent" in same.claim.text


def test_machine_larger_than_a_guest_is_scaled_down(tmp_path: Path) -> None:
    lines = [line.replace("130942 pages RAM", "13094200 pages RAM") for line in made.oom_report(
        (made.MadeTask(120, "mysqld", 9000000), made.MadeTask(121, "child", 2000000))
    )]  # fmt: skip
    log = tmp_path / "dmesg.txt"
    log.write_bytes(made.serial(lines))

    scenario = loaded(new_scenario("prod", tmp_path, from_log=log))

    assert scenario.file.guest.memory == (1024 + 96) << 20
    assert scenario.parameters["mysqld_size"].default == "704M"
    assert "divided by 50.0" in scenario.story()


def test_two_tasks_of_one_name_get_two_names(tmp_path: Path) -> None:
    tasks = (
        made.MadeTask(120, "php-fpm", 30000),
        made.MadeTask(121, "child", 9000),
        made.MadeTask(122, "php-fpm", 30000),
    )

    scenario = loaded(new_scenario("prod", tmp_path, from_log=log_of(tmp_path, tasks)))

    assert set(scenario.parameters) == {"php_fpm_size", "php_fpm_2_size"}


def test_name_from_a_log_cannot_break_out_of_the_files(tmp_path: Path) -> None:
    tasks = (made.MadeTask(120, 'a"\\{{x}}|`', 30000), made.MadeTask(121, "child", 9000))

    directory = new_scenario("prod", tmp_path, from_log=log_of(tmp_path, tasks))

    loaded(directory)
    assert "{{x}}" not in (directory / "README.md").read_text()


def test_log_without_a_report_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    log = tmp_path / "dmesg.txt"
    log.write_text("[    0.000000] Linux version 6.1\n")

    with pytest.raises(UsageError, match="no OOM report"):
        new_scenario("prod", tmp_path, from_log=log)

    assert not (tmp_path / "prod").exists()


def test_log_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        new_scenario("prod", tmp_path, from_log=tmp_path / "none")


def test_report_of_a_cgroup_without_totals_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "dmesg.txt"
    log.write_bytes(made.serial(made.oom_report(cgroup="/job")))

    with pytest.raises(UsageError, match="no memory total"):
        new_scenario("prod", tmp_path, from_log=log)
