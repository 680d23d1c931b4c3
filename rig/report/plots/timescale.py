# SPDX-License-Identifier: MIT
"""A piecewise linear time axis that keeps marks apart.

In the main job four of seven events fall into the first 4 of 250 seconds, and on a linear axis they would overlap. This
axis is linear between two marks, and two marks are never nearer than a share of its width. When it is not linear as a
whole, the picture says so.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["TimeScale", "time_scale"]

NARROWEST = 0.055
"""Of the axis, between two marks."""
FOR_ALL = 0.65
"""Of the axis, at most, what is given away to narrow intervals."""
TICK_APART = 0.06


@dataclass(frozen=True)
class TimeScale:
    """A piecewise linear scale. knots: (seconds, position from 0 to 1), ascending in both."""

    knots: tuple[tuple[float, float], ...]

    def place(self, time: float) -> float:
        """Return the position of a time on the axis, from 0 to 1; a time outside the axis is moved to its end."""
        times = [knot[0] for knot in self.knots]
        if time <= times[0]:
            return 0.0
        if time >= times[-1]:
            return 1.0
        right = bisect_right(times, time)
        (t0, x0), (t1, x1) = self.knots[right - 1], self.knots[right]
        return x0 + (x1 - x0) * (time - t0) / (t1 - t0)

    @property
    def straight(self) -> bool:
        """Whether the axis is linear as a whole."""
        start, end = self.knots[0][0], self.knots[-1][0]
        return all(abs(x - (time - start) / (end - start)) < 0.01 for time, x in self.knots)

    def ticks(self, marks: Sequence[float]) -> list[float]:
        """Return times to label: the marks first, then round ones wherever there is room."""
        chosen: list[float] = []
        for time in [*marks, *self._round_times()]:
            place = self.place(time)
            if all(abs(place - self.place(other)) >= TICK_APART for other in chosen):
                chosen.append(time)
        return sorted(chosen)

    def _round_times(self) -> list[float]:
        start, end = self.knots[0][0], self.knots[-1][0]
        step = 10 ** len(str(max(1, int((end - start) / 2)))) / 10
        for finer in (step, step / 2, step / 5):
            if (end - start) / finer >= 4:
                break
        first = int(start / finer) + 1
        return [number * finer for number in range(first, first + 40) if number * finer <= end]


def time_scale(start: float, end: float, marks: Iterable[float]) -> TimeScale:
    """Return the axis from `start` to `end` seconds with room around each of `marks`."""
    end = max(end, start + 1e-3)
    times = sorted({start, end, *(time for time in marks if start < time < end)})
    spans = [right - left for left, right in pairwise(times)]
    floor = min(NARROWEST, FOR_ALL / len(spans))
    shares = [span / (end - start) for span in spans]
    narrow = sum(share < floor for share in shares)
    wide = sum(share for share in shares if share >= floor) or 1.0
    left_over = 1 - floor * narrow
    place, knots = 0.0, [(times[0], 0.0)]
    for time, share in zip(times[1:], shares, strict=True):
        place += floor if share < floor else share / wide * left_over
        knots.append((time, place))
    total = knots[-1][1]
    return TimeScale(tuple((time, x / total) for time, x in knots))
