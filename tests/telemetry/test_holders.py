# SPDX-License-Identifier: MIT
"""Who holds the memory: parts that add up to the whole, with shared pages counted once."""

from __future__ import annotations

import json
from typing import Any

from rig.telemetry.holders import held
from rig.telemetry.records import read_records
from tests.report.made_directory import records

SHARED = "parent and child, shared"


def read(items: list[dict[str, Any]]) -> Any:
    return read_records("".join(json.dumps(item) + "\n" for item in items).encode())


def test_parts_add_up_to_the_guests_memory_at_every_sample() -> None:
    found = held(read(records()))

    assert len(found) == 8
    assert all(sum(each.parts.values()) == each.total for each in found)


def test_fork_is_counted_once() -> None:
    forked = held(read(records()))[1]

    assert forked.parts[SHARED] == 200 * 1024
    assert forked.parts["child"] == forked.parts["parent"] == 0


def test_what_the_child_copies_moves_from_shared_to_both() -> None:
    last = held(read(records()))[-1]

    assert last.parts[SHARED] == (200 - 22) * 1024
    assert last.parts["child"] == last.parts["parent"] == 22 * 1024


def test_two_strangers_of_one_size_share_nothing() -> None:
    items = records()
    items[2]["meminfo"]["AnonPages"] = 401 * 1024

    assert SHARED not in held(read(items))[1].parts


def test_sample_full_of_nonsense_is_left_out() -> None:
    items = records()
    items[1]["meminfo"] = {"MemTotal": -1, "MemFree": "x"}
    items[2]["meminfo"] = 7

    assert len(held(read(items))) == 6
