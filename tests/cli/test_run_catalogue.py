# SPDX-License-Identifier: MIT
"""`rig run --all` begins each scenario at a kept past, and the longest first; an error stops no other."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rig.cli import run_catalogue
from rig.cli.app import _run
from rig.errors import RigError
from rig.experiment.longest_first import DURATIONS
from rig.experiment.request import Request
from rig.image.store import Store
from rig.run.progress import Progress
from rig.scenario.load import list_scenarios


@pytest.mark.parametrize(("words", "prefix"), [([], True), (["--no-prefix"], False)])
def test_every_scenario_is_run_from_its_past(
    words: list[str],
    prefix: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("RIG_CACHE", str(tmp_path))
    asked: list[Request] = []

    async def run_from_prefix(request: Request, progress: Progress, store: Store) -> tuple[object, Path]:
        asked.append(request)
        raise RigError("the guest does not boot", where=request.scenario)

    monkeypatch.delenv("RIG_PREFIX", raising=False)
    monkeypatch.setattr(run_catalogue, "run_from_prefix", run_from_prefix)

    status = _run(["run", "--all", *words])

    assert status == 3
    assert sorted(each.scenario for each in asked) == sorted(each.name for each in list_scenarios())
    assert {each.prefix for each in asked} == {prefix}
    assert f"0 of {len(asked)} reproduced" in capsys.readouterr().out


def test_longest_begins_first_and_the_results_are_in_the_catalogues_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(each.name for each in list_scenarios())
    asked: list[str] = []

    async def run_from_prefix(request: Request, progress: Progress, store: Store) -> tuple[object, Path]:
        asked.append(request.scenario)
        raise RigError("the guest does not boot", where=request.scenario)

    monkeypatch.setattr(run_catalogue, "run_from_prefix", run_from_prefix)
    monkeypatch.setenv("RIG_CACHE", str(tmp_path))
    (tmp_path / DURATIONS).write_text(json.dumps({name: float(number) for number, name in enumerate(names)}))

    _run(["run", "--all", "--jobs", "1", "--junit", str(tmp_path / "junit.xml")])

    assert asked == names[::-1]
    suites = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testsuite")
    assert [suite.get("name") for suite in suites] == names
