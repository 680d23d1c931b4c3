# SPDX-License-Identifier: MIT
"""Futures of one run: unchanged ones are the same to the byte, changed ones differ by their change alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.guest.conftest import Rig

SMALL = ("--memory", "128M", "--set", "parent=20M", "--set", "hog=20M", "--set", "every=1ms")


@pytest.fixture
def parent(rig: Rig) -> dict[str, Any]:
    done = rig("run", "overcommit-oops", *SMALL, "--json")
    assert done.out, done.err
    return done.run()


def futures(rig: Rig, *words: str) -> list[dict[str, Any]]:
    done = rig("branch", "last", *words, "--json")
    assert done.out, done.err
    found: list[dict[str, Any]] = json.loads(done.out)
    return found


def test_unchanged_futures_are_the_same_to_the_byte_and_replay(
    rig: Rig, parent: dict[str, Any], environment: dict[str, str]
) -> None:
    runs = Path(environment["RIG_RUNS"])

    found = futures(rig, "--at", "hogging", "--control", "5")

    assert {each["parent"] for each in found} == {parent["id"]}
    assert {each["branch"]["past"] for each in found} == {""}
    for name in ("console.log", "events.jsonl"):
        assert len({(runs / each["id"] / name).read_bytes() for each in found}) == 1
    replayed = rig("replay", found[0]["id"])
    assert replayed.status == 0, replayed.err + replayed.out


def test_sysctl_that_is_set_at_the_branch_changes_what_happens(rig: Rig, parent: dict[str, Any]) -> None:
    assert parent["panic"] is None

    [found] = futures(rig, "--at", "writing-starts", "--set", "vm.panic_on_oom=1")

    assert "panic_on_oom" in found["panic"]
    assert found["branch"]["changes"] == ["vm.panic_on_oom=1"]


def test_parameter_of_an_earlier_step_is_a_usage_error(rig: Rig, parent: dict[str, Any]) -> None:
    done = rig("branch", "last", "--at", "hogging", "--set", "parent=10M")

    assert done.status == 64
    assert "parent was used before 'hogging'" in done.err
