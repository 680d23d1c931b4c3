# SPDX-License-Identifier: MIT
"""What a failed test of another project shows of its runs. No guest is started: the run is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.run.document import Claimed, Run, Shown
from tests.report.made_directory import made_run, write_directory

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Make rig_run return a run of which a claim failed, unless the scenario's name is that of no scenario."""
    directory = write_directory(tmp_path / "the-run")
    failed = Claimed(
        id="shared", text="the child shares", verdict="failed", values=(Shown(name="cost", shown="12.0 MB"),)
    )
    run = made_run().model_copy(update={"verdict": "not-reproduced", "claims": (failed,), "host_seconds": 1.25})

    async def run_scenario(request: Any, progress: Any) -> tuple[Run, Path]:
        from rig.scenario.load import load_scenario

        load_scenario(request.scenario)
        return run, directory

    monkeypatch.setattr("rig.experiment.run.run_scenario", run_scenario)
    return directory


def _printed(pytester: pytest.Pytester, body: str, *options: str) -> str:
    pytester.makepyfile(f"def test_it(rig_run):\n    {body}\n")
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:randomly", *options)
    result.assert_outcomes(failed=1)
    return result.stdout.str()


def test_failed_comparison_shows_claims_values_and_directory(pytester: pytest.Pytester, made: Path) -> None:
    text = _printed(pytester, 'assert rig_run("overcommit-oops").verdict == "reproduced"')

    assert "'not-reproduced' == 'reproduced'" in text
    assert "failed shared: the child shares" in text
    assert "cost 12.0 MB" in text
    assert str(made) in text


def test_assert_reproduced_says_the_same_without_a_comparison(pytester: pytest.Pytester, made: Path) -> None:
    text = _printed(pytester, 'rig_run("overcommit-oops").assert_reproduced()')

    assert "AssertionError: overcommit-oops is not-reproduced" in text
    assert "cost 12.0 MB" in text
    assert str(made) in text


def test_other_failed_test_has_its_runs_in_a_section(pytester: pytest.Pytester, made: Path) -> None:
    text = _printed(pytester, 'rig_run("overcommit-oops"); assert 1 == 2')

    assert "rig: runs" in text
    assert str(made) in text


def test_misspelt_scenario_is_one_line(pytester: pytest.Pytester) -> None:
    text = _printed(pytester, 'rig_run("overcomit-oops")')

    (failure,) = text.partition("FAILURES")[2].partition("rig: kernel log")[0].splitlines()[2:3]
    assert failure.startswith("test_misspelt_scenario_is_one_line.py:2: unknown scenario 'overcomit-oops'")
    assert "overcommit-oops" in failure  # did you mean
    assert "Traceback" not in text
    assert "rig/experiment" not in text


def test_junit_of_pytest_has_times_and_values(pytester: pytest.Pytester) -> None:
    _printed(
        pytester, 'rig_run("overcommit-oops").assert_reproduced()', "--junitxml=out.xml", "-o", "junit_family=xunit1"
    )

    xml = (pytester.path / "out.xml").read_text()
    assert '<property name="rig.shared.cost" value="12.0 MB"' in xml
    assert '<property name="rig.host_seconds" value="1.25"' in xml
