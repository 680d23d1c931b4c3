# SPDX-License-Identifier: MIT
"""Locked memory is in a task's RSS and on no list of anonymous pages: it is played once, by that task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.reproduce.fingerprint import fingerprint_of
from rig.reproduce.locked import locked_by_tasks_kb, with_locked
from rig.reproduce.replica import Actor
from tests.klog import made
from tests.reproduce.test_replica import event_of

MIB = 1 << 20


@pytest.mark.parametrize(
    ("anonymous", "unevictable", "locked"),
    [(0, 190_000, 186_000), (186_000, 190_000, 0), (100_000, 190_000, 86_000), (0, 20_000, 20_000), (None, 190_000, 0)],
)
def test_locked_is_what_tasks_claim_beyond_the_anonymous_pages(
    anonymous: int | None, unevictable: int, locked: int
) -> None:
    kinds = {"unevictable": unevictable} | ({} if anonymous is None else {"anonymous": anonymous})

    assert (
        locked_by_tasks_kb(replace(fingerprint_of(event_of(made.oom_report(made.TASKS))), kinds=kinds), 186_000)
        == locked
    )


def test_largest_holds_it_and_keeps_what_its_trigger_takes() -> None:
    small, large = Actor("small", "small", sizes={"anon": 10 * MIB}), Actor("large", "large", sizes={"anon": 100 * MIB})

    found = {actor.name: actor.sizes for actor in with_locked([small, large], 99 * MIB, 2 * MIB)}

    assert found["large"] == {"anon": 2 * MIB, "locked": 98 * MIB}
    assert found["small"] == {"anon": 9 * MIB, "locked": MIB}


def test_nothing_locked_changes_nothing() -> None:
    actors = [Actor("one", "one", sizes={"anon": 10 * MIB})]

    assert with_locked(actors, 0, MIB) == actors
