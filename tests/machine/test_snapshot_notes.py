# SPDX-License-Identifier: MIT
"""The note of a snapshot whose QEMU leaves the guest less memory than other versions do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.machine.snapshot import Snapshot

HERE = Path(__file__)


def snapshot(entries: int | None) -> Snapshot:
    return Snapshot(
        key="k", ram=None, head=None, identity=None, state=HERE, digest="d", boot_log=HERE, ready={}, ready_line=b"",
        queue_entries=entries,
    )  # fmt: skip


@pytest.mark.parametrize("entries", [None, 32])
def test_queues_as_the_device_asks_for_them_are_no_note(entries: int | None) -> None:
    assert snapshot(entries).notes == ()


def test_larger_queues_are_told_with_what_they_cost_the_guest() -> None:
    (note,) = snapshot(1024).notes

    assert "queues of 1024 entries" in note
    assert "take 7 MB more of the guest's memory" in note
