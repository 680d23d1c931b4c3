# SPDX-License-Identifier: MIT
"""`rig reproduce`: reports of guests, played again in another guest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.guest.conftest import Rig
from tests.klog import made

pytestmark = pytest.mark.guest


def fields(rig: Rig, log: str) -> tuple[int, dict[str, str]]:
    done = rig("reproduce", log, "--json", "--scale", "256M")
    found = json.loads(done.out)["fields"]
    return done.status, {each["field"]: each["outcome"] for each in found}


@pytest.mark.parametrize(
    ("scenario", "settings"),
    [
        ("overcommit-oops", ("every=1ms",)),
        ("overcommit-in-cgroup", ("every=1ms",)),
        ("oom-victim", ("every=1ms", "hog_adj=-500")),
    ],
)
def test_report_of_a_run_is_reproduced(scenario: str, settings: tuple[str, ...], rig: Rig) -> None:
    first = rig("run", scenario, *(word for each in settings for word in ("--set", each)), "--json").run()

    status, outcomes = fields(rig, first["id"])

    assert {field for field, outcome in outcomes.items() if outcome == "differs"} == set()
    assert status == 0


def test_kill_by_hand_is_reproduced_with_memory_free(rig: Rig, tmp_path: Path) -> None:
    program = ("--", "sh", "-c", "tail -c 30000000 /dev/zero & sleep 2; echo f > /proc/sysrq-trigger; sleep 1")
    rig("exec", "-q", *program)

    status, outcomes = fields(rig, "last")

    assert (status, outcomes["scope"], outcomes["victim"]) == (0, "agrees", "agrees")


def test_machine_that_had_swap_free_is_reproduced_with_swap_free(rig: Rig, tmp_path: Path) -> None:
    log = tmp_path / "dmesg.txt"
    lines = made.oom_report((*made.TASKS[:3], made.MadeTask(122, "hog", 60000)))
    lines = [line.replace("Total swap = 0kB", "Total swap = 262144kB") for line in lines]
    log.write_bytes(made.serial([line.replace("Free swap  = 0kB", "Free swap  = 250000kB") for line in lines]))

    _, outcomes = fields(rig, str(log))

    assert {outcomes[field] for field in ("scope", "victim", "ranking", "swap", "swap used")} == {"agrees"}


def test_smallest_scenario_fails_in_the_same_way_each_time(rig: Rig) -> None:
    first = rig("run", "overcommit-in-cgroup", "--set", "every=1ms", "--json").run()

    done = rig("reproduce", first["id"], "--json", "--scale", "256M", "--smallest", "--repeat", "3", "--budget", "2m")

    found = json.loads(done.out)
    assert done.status == 0
    assert found["smallest"]["same"] == 3
    assert len(found["smallest"]["parts"]) <= found["smallest"]["of"]
    assert found["memory"] <= found["smallest"]["memory_before"]
    assert {each["field"] for each in found["fields"] if each["outcome"] == "differs"} == set()
