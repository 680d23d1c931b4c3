# SPDX-License-Identifier: MIT
"""Page maps of real guests: copy-on-write page by page, and what taking a page map costs the guest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.telemetry.pagemaps import Snapshot, page_maps, snapshots
from rig.telemetry.records import read_records
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest

PAGES = 51200


def taken(run: dict[str, Any], tmp_path: Path) -> list[Snapshot]:
    return snapshots(page_maps(read_records(tmp_path / "runs" / run["id"] / "events.jsonl")))


def copied(snapshot: Snapshot) -> int:
    return sum(count for count, state in snapshot.together() if state == "copied")


def test_main_job_shows_the_copying_spread_and_stop_at_the_oom(rig: Rig, tmp_path: Path) -> None:
    called = rig("run", "overcommit-oops", "--json")

    found = taken(called.run(), tmp_path)
    oom = next(each for each in found if each.label == "oom")
    assert found[0].together() == ((PAGES, "shared"),)
    assert [copied(each) for each in found] == sorted(copied(each) for each in found)
    assert copied(oom) * 4096 == pytest.approx(called.value("copied-what-was-left", "copied"), rel=0.02)
    assert all(each.maps[0].pages == PAGES for each in found)


def test_maps_between_the_fork_and_the_oom_are_taken_when_asked_for(rig: Rig, tmp_path: Path) -> None:
    few, every = (taken(rig("run", "overcommit-oops", *words, "--json").run(), tmp_path) for words in ((), ("--maps",)))

    assert [each.label for each in few] == ["forked", "oom", "settled"]
    assert [each.label for each in every] == ["forked", *["writing"] * (len(every) - 3), "oom", "settled"]
    assert len(every) > 3


def test_panic_leaves_the_maps_before_it(rig: Rig, tmp_path: Path) -> None:
    run = rig("run", "overcommit-oops", "--sysctl", "vm.panic_on_oom=1", "--json").run()

    assert run["verdict"] == "reproduced"
    assert {each.label for each in taken(run, tmp_path)} == {"forked", "writing"}


def test_looking_costs_less_than_a_hundredth_of_the_guests_time(rig: Rig, tmp_path: Path) -> None:
    """Compare times of the guest's warp clock. It counts instructions, so the host's speed does not matter."""
    run = rig("run", "overcommit-oops", "--json").run()

    cost = sum(each.took or 0 for snapshot in taken(run, tmp_path) for each in snapshot.maps)
    assert 0 < cost < run["guest_seconds"] / 100


def test_prefault_shows_every_page_copied_before_the_writing(rig: Rig, tmp_path: Path) -> None:
    run = rig("run", "prefault", "--json").run()

    found = taken(run, tmp_path)
    assert [each.label for each in found[:3]] == ["filled", "prefaulted", "forked"]
    assert found[0].together() == ((PAGES, "alone"),)
    assert {copied(each) for each in found[1:]} == {PAGES}
