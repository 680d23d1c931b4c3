# SPDX-License-Identifier: MIT
"""Page maps: joined from records, combined with each other, and left out where they are invalid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rig.telemetry.pagemaps import page_maps, snapshots
from rig.telemetry.records import read_records
from tests.report.made_directory import page_map


def read(*records: dict[str, Any]) -> Any:
    text = "".join(json.dumps({"n": n, **record}) + "\n" for n, record in enumerate(records))
    return read_records(text.encode())


def test_map_in_several_records_is_one_map() -> None:
    first = page_map(1.0, "x", "parent", 7, 10) | {"last": False}
    rest = page_map(1.0, "x", "parent", 7, 0) | {"runs": [[5, "shared"], [3, "none"]]}

    [found] = page_maps(read(first, rest))

    assert found.runs == ((10, "private"), (51195, "shared"), (3, "none"))
    assert found.count("shared") == 51195


def test_two_processes_share_what_neither_has_written() -> None:
    maps = page_maps(read(page_map(1, "x", "parent", 7, 100), page_map(1.1, "x", "child", 8, 100)))

    [snapshot] = snapshots(maps)

    assert snapshot.together() == ((100, "copied"), (51100, "shared"))


def test_map_of_one_process_alone_is_not_called_copied() -> None:
    [snapshot] = snapshots(page_maps(read(page_map(1, "x", "parent", 7, 51200 - 1))))

    assert snapshot.together()[0] == (51199, "alone")


def test_maps_of_other_moments_are_not_put_together() -> None:
    maps = page_maps(read(*(page_map(t, "writing", c, p, 0) for t in (1, 2) for c, p in (("a", 7), ("b", 8)))))

    assert [[each.pid for each in snapshot.maps] for snapshot in snapshots(maps)] == [[7, 8], [7, 8]]


def test_child_that_is_looked_at_alone_tells_of_the_parent_too() -> None:
    both = (page_map(1, "forked", "parent", 7, 0), page_map(1, "forked", "child", 8, 0))
    later = [page_map(t, "writing", "child", 8, 100 * t) | {"periodic": True} for t in (2, 3)]

    found = snapshots(page_maps(read(*both, *later)))

    assert [each.together()[0] for each in found] == [(51200, "shared"), (200, "copied"), (300, "copied")]
    assert [each.time for each in found] == [1, 2, 3]


def test_parent_that_is_gone_is_not_brought_forward() -> None:
    both = (page_map(1, "forked", "parent", 7, 0), page_map(1, "forked", "child", 8, 0))
    settled = page_map(2, "settled", "child", 8, 51199)
    later = page_map(3, "writing", "child", 8, 51199) | {"periodic": True}

    found = snapshots(page_maps(read(*both, settled, later)))

    assert [each.together()[0] for each in found] == [(51200, "shared"), (51199, "alone"), (51199, "alone")]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"runs": [[-1, "shared"]]}, {"runs": [[1, "evil"]]}, {"runs": 3}, {"runs": [[True, "shared"]]},
        {"start": "xyz"}, {"page_size": 0}, {"pid": "1"}, {"runs": [[1 << 40, "shared"]]},
    ],
)  # fmt: skip
def test_what_is_no_map_is_left_out(nonsense: dict[str, Any]) -> None:
    assert page_maps(read(page_map(1, "x", "parent", 7, 0) | nonsense)) == []


def test_pages_that_ksm_merged_are_a_state_of_their_own() -> None:
    [found] = page_maps(read(page_map(1, "x", "parent", 7, 0) | {"runs": [[5, "merged"], [3, "shared"]]}))

    assert (found.count("merged"), found.count("shared")) == (5, 3)
