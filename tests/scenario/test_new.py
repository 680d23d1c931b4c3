# SPDX-License-Identifier: MIT
"""`rig new`: a directory that loads and renders as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.errors import UsageError
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.new import new_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings


def loaded(directory: Path) -> Scenario:
    scenario = load_scenario(str(directory))
    render_plan(scenario, parse_settings(scenario))
    return scenario


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


@pytest.mark.parametrize("moment", ["mkdir", "write_text", "rename"])
def test_scenario_whose_making_is_interrupted_is_whole_or_absent(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = getattr(Path, moment)

    def interrupted(path: Path, *arguments: Any, **options: Any) -> None:
        whole(path, *arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, moment, interrupted)

    with pytest.raises(KeyboardInterrupt):
        new_scenario("mine", tmp_path)

    if moment == "rename":
        assert loaded(tmp_path / "mine").name == "mine"
    else:
        assert list(tmp_path.iterdir()) == []
