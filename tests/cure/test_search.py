# SPDX-License-Identifier: MIT
"""The smallest dose that works: found without guests, by a failure that a size prevents."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rig.cure.outcome import Observed, Outcome, compare_runs
from rig.cure.search import Found, Search
from rig.cure.treatments import Dose, Treatment
from rig.cure.trial import SHIFTS, Tried
from tests.cure.test_outcome import CONTROL

MIB = 1 << 20
PREVENTED = replace(CONTROL, failed=None, victims=())


def dose(size: int) -> Dose:
    return Dose(f"swap={size >> 20}M", size=size)


SWAP = Treatment("swap", "swap", tuple(dose(size * MIB) for size in (32, 64, 128, 256, 512)), none=0, at=dose)


def search(needed: int, budget: int = 100, bad_shift: float | None = None, treatment: Treatment = SWAP) -> Found:
    """Return what is found where `needed` bytes prevent the failure. budget: number of runs."""
    left = budget

    def observed(size: int, shift: float) -> Observed:
        return PREVENTED if size >= needed and shift != bad_shift else CONTROL

    async def run(chosen: Dose, shift: float) -> Tried | None:
        nonlocal left
        left -= 1
        return Tried(chosen, shift, observed(chosen.size, shift)) if left >= 0 else None

    def judge(tried: Tried) -> Outcome:
        return compare_runs(CONTROL, tried.observed)

    first = Tried(treatment.doses[-1], 0.0, observed(treatment.doses[-1].size, 0.0))
    found = Search(treatment, first, run, judge)

    async def all_of_it() -> None:
        await found.time_strongest()
        await found.down_the_ladder()
        await found.between_sizes()

    asyncio.run(all_of_it())
    return found.found


@pytest.mark.parametrize("needed", [20, 33, 100, 200, 511])
def test_smallest_size_is_bisected_with_both_sides(needed: int) -> None:
    found = search(needed * MIB)

    assert found.works.dose.size >= needed * MIB
    low = found.fails.dose.size if found.fails is not None else 0
    assert low < needed * MIB
    assert found.works.dose.size - low <= max(found.works.dose.size / 16, 2 * MIB)
    assert (found.agree, found.of) == (3, 3)


def test_dose_that_does_nothing_is_run_at_each_timing_and_no_smaller_one() -> None:
    found = search(600 * MIB)

    assert (found.runs, found.works.dose.text, found.fails) == (3, "swap=512M", None)


def test_timing_at_which_it_fails_is_counted() -> None:
    found = search(100 * MIB, bad_shift=SHIFTS[1])

    assert (found.agree, found.of) == (2, 3)


@pytest.mark.parametrize(("budget", "of"), [(0, 1), (1, 2), (4, 3)])
def test_spent_budget_leaves_the_strongest_dose(budget: int, of: int) -> None:
    found = search(100 * MIB, budget=budget)

    assert (found.works.dose.text, found.of) == ("swap=512M", of)


def test_smaller_dose_is_named_only_when_all_timings_were_tried() -> None:
    # Two timings of the strongest dose, two doses of the ladder, two timings of the one that works.
    assert search(100 * MIB, budget=6).works.dose.text == "swap=128M"
    assert search(100 * MIB, budget=5).works.dose.text == "swap=512M"


def test_treatment_without_sizes_stays_on_its_ladder() -> None:
    found = search(100 * MIB, treatment=replace(SWAP, at=None))

    assert found.works.dose.text == "swap=128M"
    assert found.fails is not None
    assert found.fails.dose.text == "swap=64M"
