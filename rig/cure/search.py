# SPDX-License-Identifier: MIT
"""Find the smallest dose that works, and how many timings agree."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rig.cure.outcome import ORDER, Outcome
from rig.cure.treatments import Dose, Treatment
from rig.cure.trial import SHIFTS, Tried

__all__ = ["HELPS", "Found", "find_smallest"]

MIB = 1 << 20
HELPS = ("prevented", "refused earlier", "another died", "later")
"""Outcomes for which a smaller dose is looked for."""
NARROW = 1 / 16
"""The fraction of a size down to which the smallest that works is bisected."""


@dataclass(frozen=True)
class Found:
    """The smallest dose that works, with the largest that does not (None: none was tried), and the timings."""

    works: Tried
    fails: Tried | None
    agree: int
    of: int
    runs: int


class _Search:
    def __init__(
        self,
        treatment: Treatment,
        run: Callable[[Dose, float], Awaitable[Tried | None]],
        judge: Callable[[Tried], Outcome],
        first: Tried,
    ) -> None:
        self.treatment, self.run, self.judge, self.works = treatment, run, judge, first
        self.fails: Tried | None = None
        self.wanted = ORDER.index(judge(first).kind)
        self.runs = 1

    async def try_dose(self, dose: Dose) -> bool | None:
        """Run a dose and keep it as the smallest that works or the largest that does not; None without a run."""
        tried = await self.run(dose, 0.0)
        if tried is None:
            return None
        self.runs += 1
        good = ORDER.index(self.judge(tried).kind) <= self.wanted
        if good:
            self.works = tried
        else:
            self.fails = tried
        return good

    async def down_the_ladder(self) -> None:
        low, high = -1, len(self.treatment.doses) - 1
        while high - low > 1:
            middle = (low + high) // 2
            good = await self.try_dose(self.treatment.doses[middle])
            if good is None:
                return
            low, high = (low, middle) if good else (middle, high)

    async def between_sizes(self) -> None:
        at = self.treatment.at
        if at is None:
            return
        while True:
            high = self.works.dose.size
            low = self.fails.dose.size if self.fails is not None else self.treatment.none
            middle = -(-(low + high) // 2 // MIB) * MIB
            if abs(high - low) <= max(NARROW * high, 2 * MIB) or middle in (low, high):
                return
            if await self.try_dose(at(middle)) is None:
                return

    async def timings(self) -> tuple[int, int]:
        """Return at how many timings the smallest dose works, and at how many it was tried."""
        agree, of = 1, 1
        for shift in SHIFTS[1:]:
            tried = await self.run(self.works.dose, shift)
            if tried is not None:
                self.runs += 1
                of += 1
                agree += ORDER.index(self.judge(tried).kind) <= self.wanted
        return agree, of


async def find_smallest(
    treatment: Treatment,
    first: Tried,
    run: Callable[[Dose, float], Awaitable[Tried | None]],
    judge: Callable[[Tried], Outcome],
) -> Found:
    """Return the smallest dose that has the outcome of the strongest one, or a better one.

    first: the run of the strongest dose.
    run: runs a dose at a timing; returns None when the budget is spent.
    A dose between two of the ladder counts only when it was tried at all timings.
    """
    search = _Search(treatment, run, judge, first)
    if judge(first).kind in HELPS:
        await search.down_the_ladder()
    elif judge(first).kind != "stalled":
        return Found(first, None, 1, 1, 1)
    agree, of = await search.timings()
    works, fails = search.works, search.fails
    if judge(first).kind in HELPS and of == len(SHIFTS):
        await search.between_sizes()
        if search.works is not works:
            again = await search.timings()
            if again[1] == len(SHIFTS) and again[0] >= agree:
                works, (agree, of) = search.works, again
        fails = search.fails
    return Found(works, fails, agree, of, search.runs)
