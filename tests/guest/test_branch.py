# SPDX-License-Identifier: MIT
"""Futures of one run: unchanged ones are the same to the byte, changed ones differ by their change alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rig.image.store import Store
from tests.guest.conftest import Rig

SMALL = ("--memory", "128M", "--set", "parent=21M", "--set", "hog=23M", "--set", "every=1ms")


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


def test_later_parameter_acts_and_a_moment_each_make_a_future_of_their_own(
    rig: Rig, parent: dict[str, Any], environment: dict[str, str]
) -> None:
    paced = futures(rig, "--at", "writing-starts", "--run", "every=3ms", "--run", "step=2M")
    [killed] = futures(rig, "--at", "oom-2ms", "--signal", "hog=KILL")

    begins = [record["t"] for record in records(environment, paced[0], "line") if record["text"].startswith("step")]
    assert begins[1] - begins[0] >= 0.003
    assert "step 1 2097152" in {record["text"] for record in records(environment, paced[1], "line")}
    assert killed["branch"]["past"] == ""
    [ended] = [record for record in records(environment, killed, "exit") if record["program"] == "hog"]
    assert ended["signal"] == "KILL"
    assert ended["t"] >= parent["ooms"][0]["time"] - 0.002


def test_future_of_a_future_has_both_changes_and_replays(rig: Rig, parent: dict[str, Any]) -> None:
    [first] = futures(rig, "--at", "hogging", "--set", "vm.oom_kill_allocating_task=1")

    done = rig("branch", first["id"], "--at", "writing-starts", "--run", "step=2M", "--control", "2", "--json")

    found = json.loads(done.out)
    assert [each["parent"] for each in found] == [first["id"]] * 3
    assert {each["branch"]["past"] for each in found} == {""}
    assert found[0]["sysctls"]["vm.oom_kill_allocating_task"] == "1"
    assert found[0]["ooms"][0]["killed"][0].startswith("child")
    assert rig("replay", found[0]["id"]).status == 0
    assert first["id"] in rig("branch", found[0]["id"], "--tree").out


def test_future_is_exported_with_its_branch_point(
    rig: Rig, parent: dict[str, Any], environment: dict[str, str], tmp_path: Path
) -> None:
    [found] = futures(rig, "--at", "hogging", "--control", "1")
    assert rig("export", found["id"], str(tmp_path / "run.tar.zst")).status == 0
    shutil.rmtree(Path(environment["RIG_RUNS"]) / found["id"])
    [point] = (Store().root / "branch").glob(found["branch"]["key"])
    shutil.rmtree(point)

    assert rig("import", str(tmp_path / "run.tar.zst")).status == 0

    assert rig("replay", found["id"]).status == 0


def test_damaged_branch_point_is_made_anew(rig: Rig, parent: dict[str, Any], environment: dict[str, str]) -> None:
    [first] = futures(rig, "--at", "hogging", "--control", "1")
    ram = Store().root / "branch" / first["branch"]["key"] / "ram.pages"
    with ram.open("r+b") as file:
        file.write(b"damaged")

    done = rig("branch", parent["id"], "--at", "hogging", "--control", "1", "--json")

    assert "was damaged on disk (ram.pages)" in done.err
    runs = Path(environment["RIG_RUNS"])
    [again] = json.loads(done.out)
    assert (runs / again["id"] / "events.jsonl").read_bytes() == (runs / first["id"] / "events.jsonl").read_bytes()


def records(environment: dict[str, str], run: dict[str, Any], ev: str) -> list[dict[str, Any]]:
    lines = (Path(environment["RIG_RUNS"]) / run["id"] / "events.jsonl").read_text().splitlines()
    return [record for line in lines if (record := json.loads(line))["ev"] == ev]


def test_sweep_that_shares_a_past_agrees_with_whole_runs(rig: Rig) -> None:
    small = ("--set", "memory=128M", "--set", "parent=21M", "--set", "hog=23M", "--set", "every=1ms")
    points = ("sweep", "overcommit-oops", *small, "--over", "step=1M,2M,4M", "--json")

    shared, whole = json.loads(rig(*points).out), json.loads(rig(*points, "--whole").out)

    assert [row["shared"] for row in shared] == ["writing-starts"] * 3
    assert [row["shared"] for row in whole] == [""] * 3
    for one, other in zip(whole, shared, strict=True):
        assert (failed(one), one["verdict"], one["oom_victim"]) == ([], "reproduced", "hog")
        assert (failed(other), other["verdict"], other["oom_victim"]) == ([], "reproduced", "hog")
        numbers, others = sizes(one), sizes(other)
        early = ("parent-filled.", "fork-cost-little.", "hog-hogs.", "nothing-killed-before.")
        assert {name: number for name, number in numbers.items() if name.startswith(early)}.items() <= others.items()
        # The kernel keeps counters and free pages in batches; how full they are at the OOM depends on the time. On 7.2 the
        # batches of free pages are larger: 209 pages were seen there.
        assert {name for name, number in numbers.items() if abs(number - others[name]) > 320 * 4096} == set()


def failed(row: dict[str, Any]) -> list[Any]:
    return [claim for claim in row["claims"] if claim["verdict"] == "failed"]


def sizes(row: dict[str, Any]) -> dict[str, float]:
    return {
        f"{claim['id']}.{value['name']}": value["value"]
        for claim in row["claims"]
        for value in claim["values"]
        if isinstance(value["value"], int | float) and not isinstance(value["value"], bool)
    }


def test_run_on_the_live_clock_cannot_be_branched(rig: Rig) -> None:
    done = rig("run", "fork-returns-twice", "--clock", "live", "--json")
    assert done.out, done.err

    done = rig("branch", "last", "--at", "start", "--control", "1")

    assert done.status == 64
    assert "live clock cannot be branched" in done.err
