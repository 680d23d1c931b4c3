# SPDX-License-Identifier: MIT
"""A run whose past is in the cache begins there, and shows what a whole run shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import Rig

SMALL = ("--memory", "128M", "--set", "parent=21M", "--set", "hog=23M")


@pytest.fixture
def run(rig: Rig):
    def call(*words: str) -> dict[str, Any]:
        done = rig("run", "overcommit-oops", *SMALL, "--json", *words, RIG_PREFIX="yes")
        assert done.out, done.err
        return done.run()

    return call


def shown(run: dict[str, Any]) -> dict[str, list[tuple[str, Any]]]:
    """Return the values of the claims that are decided before the point.

    What is taken from free memory differs by some pages: the guest's clock is some milliseconds behind, and the kernel
    returns its free pages a CPU in batches (docs/how-to/branch.md), on Linux 7.2 in larger ones.
    """
    before = ("parent-filled", "fork-succeeded", "hog-hogs")
    return {
        claim["id"]: [(value["name"], value["shown"]) for value in claim["values"]]
        for claim in run["claims"]
        if claim["id"] in before
    }


def verdicts(run: dict[str, Any]) -> dict[str, str]:
    return {claim["id"]: claim["verdict"] for claim in run["claims"]}


def test_repeat_begins_at_the_kept_past_and_shows_the_same(rig: Rig, run, environment: dict[str, str]) -> None:
    whole = run("--set", "every=1ms", "--no-prefix")
    run("--set", "every=1ms")
    made = run("--set", "every=1ms")
    again = run("--set", "every=1ms")

    assert whole["prefix"] is None
    assert made["prefix"]["point"] == again["prefix"]["point"] == "hogging"
    assert not again["prefix"]["made"]
    assert again["verdict"] == whole["verdict"] == "reproduced"
    assert len(shown(whole)) == 3
    assert shown(again) == shown(whole)
    assert verdicts(again) == verdicts(whole)
    assert again["ooms"][0]["killed"] == whole["ooms"][0]["killed"]
    records = (Path(environment["RIG_RUNS"]) / again["id"] / "events.jsonl").read_text().splitlines()
    assert {json.loads(line)["ev"] for line in records} >= {"ready", "go", "sample", "stop", "continue", "end"}
    replayed = rig("replay", again["id"], "--from-boot")
    assert replayed.status == 0, replayed.out + replayed.err
    assert "from the boot to 'hogging': console and records are identical" in replayed.out
    assert rig("branch", again["id"], "--at", "hogging", "--control", "1", "-q").status == 0


def test_run_that_differs_later_shares_the_past_and_one_that_differs_before_the_point_does_not(rig: Rig, run) -> None:
    run("--set", "every=1ms")
    later = run("--set", "every=2ms", "--set", "step=2M")
    earlier = run("--set", "every=1ms", "--set", "hog=22M")
    refused = rig("branch", later["id"], "--at", "forked", "--set", "parent=10M")

    assert later["prefix"]["point"] == "hogging"
    assert later["parameters_shown"]["step"] == "2M"
    assert earlier["prefix"]["point"] == "forked"
    assert later["verdict"] == earlier["verdict"] == "reproduced"
    assert "parent was used before 'forked'" in refused.err
