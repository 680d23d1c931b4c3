# SPDX-License-Identifier: MIT
"""A run is begun a second time only where its host is slower than an idle one, and nothing waits for a worker."""

from __future__ import annotations

import pytest

from rig.sweep.backup import Backup, Pace, backups

QUICK, SLOW = "tcp://10.0.0.2:4000", "tcp://10.0.0.3:4000"
THREADS = {QUICK: 1, SLOW: 1}


def paced(quick: float = 1.0, slow: float | None = 4.0) -> Pace:
    pace = Pace()
    for seconds in (quick, quick, 9.0):
        pace.add(QUICK, seconds)
    if slow is not None:
        pace.add(SLOW, slow)
    return pace


def test_last_run_of_a_slow_host_is_begun_on_the_idle_one() -> None:
    assert backups({SLOW: ["a"]}, THREADS, ["a"], paced(), 10) == [Backup("a", QUICK)]


def test_host_on_which_nothing_has_ended_is_as_slow_as_the_sweep_is_long() -> None:
    assert backups({SLOW: ["a"]}, THREADS, ["a"], paced(slow=None), 10) == [Backup("a", QUICK)]
    assert backups({SLOW: ["a"]}, THREADS, ["a"], paced(slow=None), 1.2) == []


@pytest.mark.parametrize(
    ("running", "undone", "pace"),
    [
        pytest.param({SLOW: ["a"]}, ["a"], paced(slow=1.4), id="hosts are alike"),
        pytest.param({SLOW: ["a"]}, ["a", "b"], paced(), id="a run waits for a worker"),
        pytest.param({SLOW: ["a"], QUICK: ["b"]}, ["a", "b"], paced(), id="nobody is idle"),
        pytest.param({QUICK: ["a"]}, ["a"], paced(), id="the quick host has the last run"),
        pytest.param({SLOW: ["a"]}, [], paced(), id="each has a copy"),
        pytest.param({SLOW: ["a"]}, ["a"], Pace(), id="nothing has ended"),
    ],
)
def test_nothing_is_begun_twice(running: dict[str, list[str]], undone: list[str], pace: Pace) -> None:
    assert backups(running, THREADS, undone, pace, 10) == []


def test_worker_on_the_same_host_is_not_quicker() -> None:
    beside = SLOW.replace("4000", "4001")

    assert backups({SLOW: ["a"]}, {SLOW: 1, beside: 1}, ["a"], paced(), 10) == []


def test_worker_with_a_copy_is_not_idle() -> None:
    assert backups({SLOW: ["a"], QUICK: ["b-backup"]}, THREADS, ["a"], paced(), 10) == []


def test_slowest_run_comes_first_where_few_are_idle() -> None:
    slower = "tcp://10.0.0.4:4000"
    pace = paced()
    pace.add(slower, 20.0)

    chosen = backups({SLOW: ["a"], slower: ["b"]}, {**THREADS, slower: 1}, ["a", "b"], pace, 30)

    assert chosen == [Backup("b", QUICK)]
