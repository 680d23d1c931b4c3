# SPDX-License-Identifier: MIT
"""What `rig debug` tells before gdb has the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from rig.errors import RigError
from rig.replay.debug import debug, reverse_note
from rig.replay.stop_point import StopPoint
from tests.machine.test_command import QEMU


@pytest.mark.parametrize(("version", "told"), [((7, 2), False), ((9, 1), False), ((10, 0), True), ((11, 1), True)])
def test_user_is_told_where_going_back_may_not_return(version: tuple[int, int], told: bool) -> None:
    note = reverse_note(replace(QEMU, version=version))

    assert bool(note) == told
    assert ("RIG_QEMU" in note) == told


def test_user_of_a_qemu_that_never_comes_back_is_told_so_at_once() -> None:
    assert "may not" in reverse_note(replace(QEMU, version=(11, 0)))
    assert "forward only" in reverse_note(replace(QEMU, version=(11, 1)))


@pytest.mark.parametrize(
    ("version", "wanted", "taken"), [((7, 2), True, True), ((7, 2), False, False), ((11, 1), True, False)]
)
def test_snapshot_to_go_back_to_is_taken_where_qemu_comes_back(
    version: tuple[int, int], wanted: bool, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def stopped_at(*words: object, reversible: bool, **named: object) -> None:
        asked.append(reversible)
        raise RigError("no guest in this test")

    monkeypatch.setattr("rig.replay.debug.stopped_at", stopped_at)
    monkeypatch.setattr("rig.replay.debug.tool", lambda name: name)
    anything = cast("Any", None)
    qemu = replace(QEMU, version=version)
    with pytest.raises(RigError, match="no guest"):
        asyncio.run(debug(anything, qemu, None, StopPoint("start"), anything, bounds=anything, reversible=wanted))

    assert asked == [taken]
