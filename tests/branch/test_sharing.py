# SPDX-License-Identifier: MIT
"""Which runs of a sweep share a past."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.branch.origin import Source
from rig.branch.sharing import SharedPast, shared_pasts
from rig.image.store import Store
from rig.sweep.local import LocalExecutor
from rig.sweep.task import PointTask


@pytest.fixture
def shared(source: Source, tmp_path: Path):
    def ask(*runs: tuple[str, ...], fewest: int = 3) -> dict[int, SharedPast]:
        return shared_pasts(Store(tmp_path / "cache"), source.scenario, runs, fewest=fewest)

    return ask


def test_runs_that_differ_late_share_their_past(shared) -> None:
    found = shared(("late=1",), ("late=2",), ("late=3",))

    assert set(found) == {0, 1, 2}
    assert len({id(past) for past in found.values()}) == 1
    assert found[0].point.text == "here"


def test_runs_that_differ_early_share_nothing(shared) -> None:
    assert shared(("early=1",), ("early=2",), ("early=3",)) == {}


def test_each_early_value_has_a_past_of_its_own(shared) -> None:
    found = shared(*((f"early={a}", f"late={b}") for a in range(2) for b in range(3)))

    assert [id(found[0]) == id(found[number]) for number in range(6)] == [True] * 3 + [False] * 3


def test_two_runs_are_not_worth_a_saved_past(shared) -> None:
    assert shared(("late=1",), ("late=2",)) == {}


def test_sysctl_that_only_an_oom_reads_is_set_at_the_point(shared) -> None:
    found = shared(*((f"vm.panic_on_oom={a}", f"late={a}") for a in range(3)))

    assert len({id(past) for past in found.values()}) == 1
    assert found[1].changes(("vm.panic_on_oom=1", "late=1")).sets == ("vm.panic_on_oom=1", "late=1")
    assert "vm.panic_on_oom" not in found[1].source.settings.sysctls


def test_other_sysctl_shapes_the_past(shared) -> None:
    assert shared(*((f"vm.swappiness={value}",) for value in range(3))) == {}


def test_guests_of_two_sizes_share_nothing(shared) -> None:
    assert shared(("memory=128M",), ("memory=256M",), ("memory=512M",)) == {}


def test_settings_that_are_refused_share_nothing(shared) -> None:
    found = shared(("late=1",), ("late=x",), ("late=2",), ("late=3",))

    assert set(found) == {0, 2, 3}


def test_sweep_of_whole_runs_shares_nothing(source: Source, tmp_path: Path) -> None:
    tasks = [
        PointTask(number, 0, str(source.scenario.directory), (f"late={number}",), (("late", str(number)),), 0)
        for number in range(3)
    ]

    pasts = [LocalExecutor(1, Store(tmp_path / "cache"), share=share)._pasts(tasks) for share in (True, False)]

    assert [len(each.shared) for each in pasts] == [3, 0]
