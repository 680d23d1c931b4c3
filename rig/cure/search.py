# SPDX-License-Identifier: MIT
"""Find the smallest dose that works, and at how many timings a dose does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from rig.cure.outcome import ORDER, Outcome
from rig.cure.treatments import Dose, Treatment
from rig.cure.trial import SHIFTS, Tried
from rig.klog.explain.remedies import HELPS

__all__ = ["Found", "Run", "Search"]

MIB = 1 << 20
NARROW = 1 / 16
"""The fraction of a size down to which the smallest that works is bisected."""

Run = Callable[[Dose, float], Awaitable[Tried | None]]
"""Run a dose at a timing; return None when the budget is spent."""


@dataclass(frozen=True)
class Found:
    """A dose that works, with the largest that does not (None: none was tried), and its timings.

    agree, of: at how many timings it has the outcome, or a better one, and at how many it was tried.
    """

    works: Tried
    fails: Tried | None
    agree: int
    of: int
    runs: int


class Search:
    """The search for one treatment. What is found counts only when it was tried at all timings.

    first: the run of the strongest dose; the outcome that smaller doses must have, or a better one, is its outcome.
    """

    def __init__(self, treatment: Treatment, first: Tried, run: Run, judge: Callable[[Tried], Outcome]) -> None:
        self.treatment, self.run, self.judge = treatment, run, judge
        self.wanted = ORDER.index(judge(first).kind)
        self.found = Found(first, None, 1, 1, 1)
        self._fails: Tried | None = None

    @property
    def helps(self) -> bool:
        return ORDER[self.wanted] in HELPS

    async def time_strongest(self) -> None:
        """Try the strongest dose at the other timings."""
        self.found = await self._timed(self.found.works)

    async def down_the_ladder(self) -> None:
        """Bisect the doses of the treatment."""
        low, high = -1, len(self.treatment.doses) - 1
        works = self.found.works
        while self.helps and high - low > 1:
            middle = (low + high) // 2
            tried = await self._tried(self.treatment.doses[middle])
            if tried is None:
                break
            if self._good(tried):
                works, high = tried, middle
            else:
                self._fails, low = tried, middle
        await self._take(works)

    async def between_sizes(self) -> None:
        """Bisect sizes between the smallest dose that works and the largest that does not."""
        at = self.treatment.at
        if at is None or not self.helps or self.found.of < len(SHIFTS):
            return
        works = self.found.works
        while True:
            high = works.dose.size
            low = self._fails.dose.size if self._fails is not None else self.treatment.none
            middle = -(-(low + high) // 2 // MIB) * MIB
            if abs(high - low) <= max(NARROW * high, 2 * MIB) or middle in (low, high):
                break
            tried = await self._tried(at(middle))
            if tried is None:
                break
            if self._good(tried):
                works = tried
            else:
                self._fails = tried
        await self._take(works)

    def _good(self, tried: Tried) -> bool:
        return ORDER.index(self.judge(tried).kind) <= self.wanted

    async def _tried(self, dose: Dose, shift: float = 0.0) -> Tried | None:
        tried = await self.run(dose, shift)
        if tried is not None:
            self.found = replace(self.found, runs=self.found.runs + 1)
        return tried

    async def _take(self, works: Tried) -> None:
        """Take a smaller dose for what is found, if at no fewer timings it works than the dose before."""
        if works is not self.found.works:
            timed = await self._timed(works)
            if timed.of < len(SHIFTS) or timed.agree < self.found.agree:
                self.found = replace(self.found, runs=timed.runs)
                return
            self.found = timed
        self.found = replace(self.found, fails=self._fails)

    async def _timed(self, works: Tried) -> Found:
        agree, of = 1, 1
        for shift in SHIFTS[1:]:
            tried = await self._tried(works.dose, shift)
            if tried is not None:
                of += 1
                agree += self._good(tried)
        return Found(works, self.found.fails, agree, of, self.found.runs)
