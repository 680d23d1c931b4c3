# SPDX-License-Identifier: MIT
"""The instruction counter in a migration stream, and the guest's clock at the stop."""

from __future__ import annotations

import struct

import pytest

from rig.machine.icount import counted_from_zero, without_jump

COUNT = 930_870_595
STAMP = 7_497_332_152
"""Of a branch point: the time stamp counter that the agent read, and the instructions until the stop."""
BIAS = 50_367_440


def stream(bias: int, *, mark: bytes = b"rig:stop", count: int = COUNT) -> bytes:
    registers = struct.pack(">8q", *range(8)) + mark + struct.pack(">q", STAMP)
    return b"\3cpu" + registers + b"between\5\x0ctimer/icount" + struct.pack(">Iqq", 1, bias, count) + b"rest"


@pytest.mark.parametrize("count", [COUNT, 2_167_000_000, 0])
def test_guest_counts_from_zero_and_its_clock_stays(count: int) -> None:
    assert counted_from_zero(stream(BIAS, count=count)) == stream(BIAS + 8 * count, count=0)


@pytest.mark.parametrize("cut", [b"timer/icount\0\0", b"", b"timer"])
def test_stream_that_was_cut_stays_as_it_is(cut: bytes) -> None:
    assert counted_from_zero(cut) == cut
    assert without_jump(cut) == cut


@pytest.mark.parametrize("jump", [0, 3_694_336])
def test_clock_is_that_of_the_stop_whether_it_jumped_or_not(jump: int) -> None:
    assert without_jump(stream(BIAS + jump)) == stream(BIAS)


def test_stream_without_the_agents_mark_stays_as_it_is() -> None:
    assert without_jump(stream(BIAS + 5, mark=b"rig:stay")) == stream(BIAS + 5, mark=b"rig:stay")


def test_stream_that_ends_within_the_agents_counter_stays_as_it_is() -> None:
    cut = b"timer/icount" + struct.pack(">Iqq", 1, BIAS, COUNT) + b"rig:stop" + bytes(4)

    assert without_jump(cut) == cut
