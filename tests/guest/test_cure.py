# SPDX-License-Identifier: MIT
"""`rig cure`: remedies of which it is known what they do, tried in guests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


def remedies(rig: Rig, *words: str) -> dict[str, dict[str, Any]]:
    done = rig("cure", *words, "--json", "--budget", "200s")
    return {each["changes"]: each for each in json.loads(done.out)["remedies"]}


def test_remedies_of_the_main_job(rig: Rig) -> None:
    found = remedies(
        rig, "overcommit-oops", "--set", "every=1ms",
        "--try", "more-memory", "--try", "overcommit-2", "--try", "oom-score", "--try", "panic-on-oom", "--try", "zram",
    )  # fmt: skip

    assert found["memory"]["outcome"] == "prevented"
    # A child that writes without a pause is not killed with compressed swap, and waits for it.
    assert found["zram"]["outcome"] in ("prevented", "stalled")
    assert found["vm.overcommit_memory"]["outcome"] == "refused earlier"
    assert found["oom_score_adj of hog"]["outcome"] == "another died"
    assert found["vm.panic_on_oom=1"]["outcome"] == "worse"
    assert {each["timings"]["of"] for each in found.values()} == {3}


def test_remedies_of_a_cgroup(rig: Rig) -> None:
    found = remedies(
        rig, "overcommit-in-cgroup", "--set", "every=1ms", "--try", "memory.max", "--try", "memory.oom.group"
    )

    assert found["memory.max of service"]["outcome"] == "prevented"
    assert found["memory.oom.group of service"]["outcome"] == "worse"


def test_remedies_of_a_refused_fork(rig: Rig) -> None:
    found = remedies(
        rig, "overcommit-oops", "--set", "every=1ms", "--set", "vm.overcommit_memory=2", "--set", "hog=0",
        "--try", "overcommit-ratio", "--try", "swap-for-commitments",
    )  # fmt: skip

    assert found["vm.overcommit_ratio"]["outcome"] == "prevented"
    assert found["swap"]["outcome"] == "prevented"


def test_other_way_to_make_a_process_and_a_user_space_killer_are_tried(rig: Rig) -> None:
    # CommitLimit must be above the parent and its reserve (3 % of it) and below twice the parent: kernel 7.2 keeps
    # more of a guest's memory for itself than 6.1, and in 256 MB the parent alone comes to the limit.
    forks = remedies(
        rig, "fork-remedies", "--set", "advise=none", "--set", "vm.overcommit_memory=2", "--set", "memory=320M",
        "--try", "spawn-without-fork", "--try", "dont-fork",
    )  # fmt: skip
    kills = remedies(rig, "overcommit-oops", "--try", "user-space-killer")

    assert forks["advise=dontfork"]["outcome"] == "prevented"
    # The program that is started anew asks for an array of its own, which is refused in place of the fork.
    assert {forks[f"method={name}"]["outcome"] for name in ("posix_spawn", "vfork")} == {"refused earlier"}
    assert "by earlyoom" in kills["earlyoom"]["detail"]


def test_scenario_in_which_nothing_fails_is_refused(rig: Rig) -> None:
    done = rig("cure", "overcommit-oops", "--set", "hog=0", "--set", "memory=1G")

    assert done.status == 64
    assert "nothing fails here" in done.err
