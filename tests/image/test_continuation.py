# SPDX-License-Identifier: MIT
"""The image of a continuation, as guest/agent/branch.c reads it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.continuation import CONTINUATION_SIZE, Continuation, Stop, write_continuation
from rig.image.daximage import ALIGNMENT

HEADER = struct.Struct("<8sQQII")


def read(path: Path) -> tuple[bytes, tuple[bytes, int, int, int, int]]:
    device = path.read_bytes()[ALIGNMENT:]
    return device, HEADER.unpack_from(device, 2048)


def test_blank_continuation_is_all_zeros(tmp_path: Path) -> None:
    write_continuation(tmp_path / "image")

    device, _ = read(tmp_path / "image")
    assert device == bytes(CONTINUATION_SIZE - ALIGNMENT)


def test_stop_names_one_more_than_the_step(tmp_path: Path) -> None:
    write_continuation(tmp_path / "image", Stop(step=0))

    assert read(tmp_path / "image")[1] == (b"rig:stop", 1, 0, 0, 0)


def test_continuation_holds_its_steps_and_a_further_stop(tmp_path: Path) -> None:
    write_continuation(tmp_path / "image", Continuation(7, "end\n", Stop(record=41)))

    device, header = read(tmp_path / "image")
    assert header == (b"rig:next", 0, 42, 7, 4)
    assert device[4096:4100] == b"end\n"


def test_places_of_filesystems_magic_stay_zero(tmp_path: Path) -> None:
    write_continuation(tmp_path / "image", Continuation(7, "end\n"))

    assert read(tmp_path / "image")[0][:2048] == bytes(2048)


def test_plan_that_the_agent_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="the agent takes 131072"):
        write_continuation(tmp_path / "image", Continuation(0, "x" * (128 << 10)))
