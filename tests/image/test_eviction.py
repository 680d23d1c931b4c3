# SPDX-License-Identifier: MIT
"""The order in which the cache gives up its entries."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.eviction import eviction_order, held_entries, named_keys
from rig.image.kinds import KINDS, Cost, Tier

NAMES = {
    "layer/mine": "l1",
    "kernel/source:bookworm-0123": "k1",
    "kernel/buildroot:6.12.60": "k2",
    "rootfs/buildroot-full": "r1",
    "kernel/debian:bookworm-0123": "k3",
    "rootfs/quick-bookworm-0123": "r2",
}


def _entry(root: Path, kind: str, name: str, used: int, **about: object) -> Entry:
    path = root / kind / name
    path.mkdir(parents=True)
    (path / "manifest.json").touch()
    os.utime(path / "manifest.json", (used, used))
    return Entry(kind, name, path, {"file": digest_text(name)}, about)


def test_names_of_the_user_are_told_from_those_of_rig() -> None:
    assert sorted(named_keys(NAMES)) == ["k1", "k2", "l1", "r1"]


def test_order_is_spare_then_fetched_then_recorded_each_by_last_use(tmp_path: Path) -> None:
    entries = [
        _entry(tmp_path, "snapshot", "needed", 1),
        _entry(tmp_path, "kernel", "debian", 2),
        _entry(tmp_path, "snapshot", "new", 9),
        _entry(tmp_path, "toolchain", "old", 3),
        _entry(tmp_path, "layer", "named", 0),
    ]

    order = eviction_order(held_entries(entries, {"named": ["layer/x"]}, {digest_text("needed"): ["a-run"]}))

    assert [each.entry.key for each in order] == ["old", "new", "debian", "needed"]
    assert [each.tier for each in order] == [Tier.SPARE, Tier.SPARE, Tier.FETCHED, Tier.RECORDED]


def test_symbols_of_a_kernel_that_the_user_built_stay_with_it(tmp_path: Path) -> None:
    entries = [
        _entry(tmp_path, "kernel", "k1", 1, spec="source:bookworm"),
        _entry(tmp_path, "symbols", "s1", 1, spec="source:bookworm"),
        _entry(tmp_path, "symbols", "s2", 1, spec="debian:bookworm"),
    ]

    order = eviction_order(held_entries(entries, named_keys(NAMES), {}))

    assert [each.entry.key for each in order] == ["s2"]


def test_part_of_an_imported_run_goes_once_the_run_is_gone(tmp_path: Path) -> None:
    part = _entry(tmp_path, "imported", "part", 1)

    with_run = held_entries([part], {}, {"part": ["a-run"]})
    without = held_entries([part], {}, {})

    assert (with_run[0].tier, without[0].tier) == (Tier.RECORDED, Tier.SPARE)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_says_what_it_costs_to_make_again(name: str) -> None:
    assert KINDS[name].remade
    assert KINDS[name].cost in Cost
