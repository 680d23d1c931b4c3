# SPDX-License-Identifier: MIT
"""Shrinking a replica: which parts are found to be needed, and what the replica is without the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rig.reproduce.ddmin import minimise
from rig.reproduce.smallest import Part, parts_of, without
from tests.klog import made
from tests.reproduce.test_replica import actor, replica

MIB = 1 << 20


def needs(wanted: set[int], asked: list[tuple[int, ...]]) -> Callable[[tuple[int, ...]], Awaitable[bool | None]]:
    async def holds(parts: tuple[int, ...]) -> bool | None:
        asked.append(parts)
        return wanted <= set(parts)

    return holds


@pytest.mark.parametrize("wanted", [set(), {0}, {3, 17}, {0, 1, 2, 3}, set(range(20))])
def test_parts_that_are_needed_are_left(wanted: set[int]) -> None:
    asked: list[tuple[int, ...]] = []

    left = asyncio.run(minimise(range(20), needs(wanted, asked)))

    assert set(left) == wanted
    assert len(asked) == len(set(asked))


def test_search_that_is_stopped_keeps_the_smallest_so_far() -> None:
    answers = iter([False, True])

    async def holds(parts: tuple[int, ...]) -> bool | None:
        return next(answers, None)

    left = asyncio.run(minimise(range(8), holds))

    assert left == (4, 5, 6, 7)


def test_process_that_asks_for_the_last_memory_is_no_part() -> None:
    found = replica()

    processes = {part.actor for part in parts_of(found) if part.what == "process"}

    assert processes == {each.name for each in found.actors if not each.trigger}


def test_guest_is_smaller_by_what_a_process_held() -> None:
    found = replica()
    hog = actor(found, "hog")

    smaller = without(found, [Part("process", hog.name)])

    assert "hog" not in {each.comm for each in smaller.actors}
    assert hog.held - MIB <= found.memory - smaller.memory <= hog.held + 2 * MIB


def test_limit_of_a_cgroup_is_smaller_by_memory_that_is_left_out() -> None:
    found = replica(cgroup="/job")
    hog = actor(found, "hog")
    assert found.limit is not None

    smaller = without(found, [Part("process", hog.name)])

    assert smaller.limit is not None
    assert found.limit - smaller.limit >= hog.held


def test_user_and_setting_are_left_out_alone() -> None:
    found = replica(*made.TASKS)
    hog = actor(found, "hog")

    smaller = without(found, [Part("user", hog.name), Part("setting", kind="vm.min_free_kbytes")])

    assert (actor(smaller, "hog").uid, smaller.min_free_kb, smaller.memory) == (0, 0, found.memory)
