# SPDX-License-Identifier: MIT
"""QEMU's instruction counter in a migration stream: what rig changes in it before it keeps a saved guest.

The section timer/icount (softmmu/cpu-timers.c) holds two numbers of 64 bits after its version: qemu_icount_bias,
nanoseconds of idle time that were skipped, and qemu_icount, instructions. The clock is their sum, with 2^shift ns an
instruction.
"""

from __future__ import annotations

import struct

from rig.machine.command import WARP_SHIFT

__all__ = ["counted_from_zero", "without_jump"]

SECTION = b"timer/icount"
NUMBERS = struct.Struct(">qq")
MARK = b"rig:stop"
"""In r14 when the agent stops the machine. r15, which follows it in the stream, is the time stamp counter."""
AFTER_MARK = struct.Struct(">q")
TO_THE_STOP = 6 << WARP_SHIFT
"""Nanoseconds from the reading of the time stamp counter to the stop: 6 instructions (guest/agent/branch.c)."""


def _numbers_at(stream: bytes) -> int | None:
    found = stream.find(SECTION)
    at = found + len(SECTION) + 4  # the version has 32 bits
    return at if found >= 0 and at + NUMBERS.size <= len(stream) else None


def _with_numbers(stream: bytes, at: int, bias: int, count: int) -> bytes:
    return stream[:at] + NUMBERS.pack(bias, count) + stream[at + NUMBERS.size :]


def counted_from_zero(stream: bytes) -> bytes:
    """Return the stream with a counter of zero, and the time of the instructions until then in qemu_icount_bias.

    QEMU records a restored guest's count as a step from zero, in an int, and asserts that it is not negative
    (replay_save_instructions() and replay_advance_current_icount(), replay/replay-internal.c): a guest that was saved
    after 2^31 instructions, 17 s without idle time, could not be recorded. The guest itself cannot see the change. Its
    clocks and its time stamp counter are read from the sum of both numbers (icount_get(), softmmu/icount.c).
    A stream without a counter is returned as it is.
    """
    at = _numbers_at(stream)
    if at is None:
        return stream
    bias, count = NUMBERS.unpack_from(stream, at)
    return _with_numbers(stream, at, bias + (count << WARP_SHIFT), 0)


def without_jump(stream: bytes) -> bytes:
    """Return the stream with the clock at the instruction at which the agent stopped the machine.

    QEMU's main loop skips idle time when no virtual CPU runs, and a virtual CPU that has stopped itself counts as idle
    until the loop has seen that the machine is to stop. Whether the clock jumps to the next timer depends on which of
    the two comes first: 9 of 40 branch points of one run were 3.7 ms later than the others, and the same otherwise.
    Under QEMU 7.2, 10.0.13 and 11.1.3 the others stopped six instructions after the agent's reading, to the nanosecond.
    A stream without the agent's mark is returned as it is.
    """
    at, mark = _numbers_at(stream), stream.find(MARK)
    if at is None or mark < 0 or mark + len(MARK) + AFTER_MARK.size > len(stream):
        return stream
    _, count = NUMBERS.unpack_from(stream, at)
    (stamp,) = AFTER_MARK.unpack_from(stream, mark + len(MARK))
    return _with_numbers(stream, at, stamp + TO_THE_STOP - (count << WARP_SHIFT), count)
