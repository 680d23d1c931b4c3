# SPDX-License-Identifier: MIT
"""The whole catalogue on one kernel, the main job on a second, and the variants that a kernel engineer tries next."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rig.scenario.load import list_scenarios
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


def test_every_scenario_is_reproduced(rig: Rig) -> None:
    called = rig("run", "--all")

    found = {name: verdict for verdict, name in re.findall(r"^(\S+)\s+[\d.]+ s\s+(\S+)", called.out, re.MULTILINE)}
    assert found == {directory.name: "reproduced" for directory in list_scenarios()}, called.out
    assert called.status == 0


def test_worst_verdict_of_the_catalogue_is_the_exit_status(rig: Rig) -> None:
    called = rig("run", "--all", "--sysctl", "vm.overcommit_memory=2")

    assert called.status in (1, 2)
    assert "not-reproduced" in called.out


@pytest.mark.parametrize("suite", ["trixie"])
def test_main_job_is_reproduced_on_another_kernel(rig: Rig, suite: str) -> None:
    called = rig("run", "overcommit-oops", "--kernel", f"debian:{suite}", "--json")
    if called.status == 3 and "the mirror does not serve" in called.err:
        pytest.skip(f"the mirror does not serve {suite}")

    assert called.run()["verdict"] == "reproduced", called.out
    assert called.run()["environment"]["kernel"].startswith("6.12.")


@pytest.mark.parametrize("settings", [["zram=64M"], ["swap=64M"], ["vm.panic_on_oom=2"]])
def test_variant_of_the_main_job(rig: Rig, settings: list[str]) -> None:
    words = [word for setting in settings for word in ("--set", setting)]

    called = rig("run", "overcommit-oops", *words, "--json")

    assert called.run()["verdict"] == "reproduced", called.out


def test_swap_on_a_disk_goes_unrecorded_and_says_why(rig: Rig) -> None:
    run = rig("run", "overcommit-oops", "--set", "swap=64M", "--json").run()

    assert run["recording"]["path"] is None
    assert "disk" in run["recording"]["reason"]


def test_two_processors_are_refused_in_warp(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", "--set", "cpus=2")

    assert called.status == 64
    assert "--clock live" in called.err


def test_new_scenario_runs_as_it_is(rig: Rig, tmp_path: Path) -> None:
    made = rig("new", "mine", cwd=tmp_path)

    called = rig("run", "./mine", cwd=tmp_path)

    assert made.status == 0, made.err
    assert called.status == 0, called.out + called.err


@pytest.mark.parametrize(("expected", "opens"), [("not-reproduced", True), ("reproduced", False)])
def test_shell_opens_after_a_failure_with_the_programs_in_it(
    expected: str, opens: bool, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig", "run", "fork-join", "--expect", expected, "--shell-on-failure", "--swap", "64M"],
        input="/payload/bin/fork-join --help; ls -d /sys/block/vd*\n",
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert ("usage: fork-join" in done.stdout) is opens, done.stdout + done.stderr
    assert ("/sys/block/vd" in done.stdout.replace("vd*", "")) is opens
    assert done.returncode == (1 if opens else 0)


def test_shell_answers_and_leaves_nothing(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig", "shell", "--accel", "tcg"],
        input="echo $((6 * 7))-is-the-answer; uname -r\n",
        env=environment, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip

    assert "42-is-the-answer" in done.stdout, done.stderr
    assert "cloud" in done.stdout
