# SPDX-License-Identifier: MIT
"""The identity of a snapshot: what is in it, what is not, and how two of them are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.image.store import Store
from rig.machine.features import MACHINE
from rig.machine.identity import differences, identity_of, key_of
from rig.machine.snapshot import nearest_snapshots
from rig.machine.spec import Clock, GuestSpec, Layer
from tests.machine.test_command import QEMU, SPEC

GOLDEN = "ab433a86048f97a27bf78c66e4b54d97926429d1d95f0ec236842f652d49e19f"
"""Changes with every change of the command line: then all snapshots are made anew, which takes seconds a guest."""


NEAR, FAR = "a" * 64, "b" * 64


def test_key_changes_only_on_purpose() -> None:
    assert key_of(identity_of(SPEC, QEMU)) == GOLDEN


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, memory=384 << 20),
        replace(SPEC, cpus=2),
        replace(SPEC, kernel_digest="other"),
        replace(SPEC, rootfs_digest="other"),
        replace(SPEC, initramfs_digest="other"),
        replace(SPEC, append=("slub_debug",)),
        replace(SPEC, clock=Clock.LIVE),
        replace(SPEC, swap=64 << 20),
        replace(SPEC, machine="q35"),
    ],
)
def test_snapshot_of_another_guest_has_another_name(other: GuestSpec) -> None:
    assert key_of(identity_of(other, QEMU)) != key_of(identity_of(SPEC, QEMU))


def test_snapshot_of_another_qemu_has_another_name() -> None:
    assert key_of(identity_of(SPEC, replace(QEMU, text="version 9.2"))) != key_of(identity_of(SPEC, QEMU))


def test_size_of_the_swap_disk_is_in_it() -> None:
    small, large = replace(SPEC, swap=64 << 20), replace(SPEC, swap=300 << 20)

    assert key_of(identity_of(small, QEMU)) != key_of(identity_of(large, QEMU))
    assert differences(identity_of(small, QEMU), identity_of(large, QEMU)) == ["swap: 67108864 → 314572800"]


@pytest.mark.parametrize("place", ["/else", "/with,comma", "/with = and blank", "/kernel"])
def test_place_of_the_cache_is_not_in_it(place: str) -> None:
    directory = Path(place)
    moved = replace(SPEC, kernel=directory / "bzImage", rootfs=directory / "root", initramfs=directory / "initramfs")

    assert identity_of(moved, QEMU) == identity_of(SPEC, QEMU)


def test_place_of_qemu_is_not_in_it() -> None:
    assert identity_of(SPEC, replace(QEMU, path=Path("/opt/qemu"))) == identity_of(SPEC, QEMU)


def test_size_of_a_layer_is_in_it_and_its_content_is_not() -> None:
    one, other = Layer(Path("/cache/one"), "a" * 64, 64 << 20), Layer(Path("/cache/two"), "b" * 64, 64 << 20)
    larger = replace(other, size=96 << 20)

    key = key_of(identity_of(replace(SPEC, layers=(one,)), QEMU))

    assert key == key_of(identity_of(replace(SPEC, layers=(other,)), QEMU))
    assert key != key_of(identity_of(replace(SPEC, layers=(larger,)), QEMU))
    assert key != key_of(identity_of(SPEC, QEMU))


def test_differences_name_what_is_new_and_what_is_gone() -> None:
    new = replace(SPEC, machine=MACHINE.replace(",hpet=off", ""), append=("slub_debug",), kernel_digest="k2")

    lines = differences(identity_of(SPEC, QEMU), identity_of(new, QEMU))

    assert "kernel: k → k2" in lines
    assert f"command: without {MACHINE},memory-backend=ram" in lines
    assert any(line.startswith("command: with console=ttyS0") and line.endswith("slub_debug") for line in lines)
    assert len(lines) == 5


def test_same_words_in_another_order_are_a_difference() -> None:
    assert differences({"command": ["-a", "-b"]}, {"command": ["-b", "-a"]}) == [
        "command: the same words in another order"
    ]


def test_kept_snapshots_come_by_how_alike_they_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    asked = identity_of(SPEC, QEMU)
    others = {
        FAR: replace(SPEC, clock=Clock.LIVE, kernel_digest="k2"),
        NEAR: replace(SPEC, kernel_digest="k2"),
        "0" * 64: SPEC,
    }
    for key, spec in others.items():
        with store.staging_directory() as work:
            (work / "result").mkdir()
            store.add("snapshot", key, work / "result", {"identity": identity_of(spec, QEMU)})
    with store.staging_directory() as work:
        (work / "result").mkdir()
        store.add("snapshot", "9" * 64, work / "result", {"memory": 1})

    found = nearest_snapshots(store, asked)

    assert [entry.key for entry, _ in found] == [NEAR, FAR]
    assert found[0][1] == ["kernel: k2 → k"]
