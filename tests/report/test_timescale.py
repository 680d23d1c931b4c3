# SPDX-License-Identifier: MIT
"""The stretched time axis: close marks get room, order is kept, and the axis says that it is not straight."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from rig.report.plots.timescale import NARROWEST, time_scale

MARKS = [6.3, 7.9, 8.0, 9.8, 250.2]


def test_marks_that_lie_close_get_room() -> None:
    scale = time_scale(6.3, 251, MARKS)

    places = [scale.place(mark) for mark in MARKS]
    assert all(right - left >= 0.9 * NARROWEST for left, right in pairwise(places))
    assert not scale.straight


def test_axis_without_crowded_marks_is_straight() -> None:
    scale = time_scale(0, 100, [30, 60])

    assert scale.straight
    assert scale.place(50) == 0.5


@given(st.lists(st.floats(0, 1e6), max_size=20), st.floats(0, 1e6), st.floats(0, 1e6))
def test_later_is_never_further_left(times: list[float], start: float, end: float) -> None:
    scale = time_scale(start, end, times)

    places = [scale.place(time) for time in sorted(times)]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in places)


def test_ticks_do_not_lie_on_each_other() -> None:
    scale = time_scale(6.3, 251, MARKS)

    places = [scale.place(tick) for tick in scale.ticks(MARKS)]
    assert len(places) > 4
    assert all(right - left > 0.05 for left, right in pairwise(places))
