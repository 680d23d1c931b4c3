# SPDX-License-Identifier: MIT
"""Try every remedy that fits a failure: the strongest dose at several timings, then the smallest that works."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.cure.budget import Budget
from rig.cure.outcome import ORDER, Observed, Outcome, compare_runs
from rig.cure.search import Search
from rig.cure.treatments import Dose, Treatment, not_played, own_treatment, treatments_for
from rig.cure.trial import SHIFTS, Patient, Tried, point_before_failure, run_control, run_dose, save_past
from rig.errors import UsageError
from rig.experiment.capacity import Capacity
from rig.finishing import gathered
from rig.image.store import Store
from rig.klog import Event, read
from rig.klog.explain.remedies import HELPS
from rig.klog.explain.remedy_table import TABLE
from rig.klog.kinds import Kind
from rig.run.progress import Progress
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from rig.scenario.suggestion import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from rig.branch.futures import Saved
    from rig.run.document import Run

__all__ = ["Cure", "Result", "cure"]


@dataclass(frozen=True)
class Result:
    """What a treatment did.

    outcome: of `works`, the smallest dose that has the strongest dose's outcome or a better one, or of the strongest.
    agree, of: how many of the timings that were tried had that outcome or a better one.
    fails: the largest dose that does not work; None where the smallest does, or was not looked for.
    runs: number of runs.
    """

    treatment: Treatment
    outcome: Outcome
    works: Tried
    agree: int
    of: int
    fails: Tried | None
    runs: int


@dataclass(frozen=True)
class Cure:
    """All remedies that were tried, the best first.

    failed, of: how many of the controls had the failure.
    left: treatments for which the budget did not suffice.
    bounds: what no run shows about production.
    """

    control: Tried
    failure: str
    failed: int
    of: int
    results: tuple[Result, ...]
    left: tuple[str, ...]
    not_played: tuple[str, ...]
    bounds: tuple[str, ...]
    seconds: float

    @property
    def cured(self) -> bool:
        return any(result.outcome.kind in HELPS for result in self.results)


BOUNDS = (
    "working sets: the processes keep what they touched and do not come back to it, so swap costs less here",
    "other CPUs: the guest has one, and its clock counts instructions",
    "I/O: the disk of a guest answers at once",
)


async def cure(
    patient: Patient,
    progress: Progress,
    *,
    only: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    budget: float = 60.0,
    jobs: int | None = None,
    store: Store | None = None,
) -> Cure:
    """Try the remedies that fit the patient's failure.

    only: names of remedies; empty for all that apply.
    also: the user's own ideas, as NAME=VALUE.
    budget: host seconds in which the runs are to end.
    Raises UsageError for an unknown remedy, an invalid setting, and a scenario in which nothing fails.
    """
    _check(patient, only, also)
    return await _Trials(patient, progress, Budget(budget), Capacity(jobs), store or Store()).all(only, also)


def _check(patient: Patient, only: tuple[str, ...], also: tuple[str, ...]) -> None:
    names = [row.name for row in TABLE]
    for name in only:
        if name not in names:
            raise UsageError(f"there is no remedy '{name}'", where="--try", remedy=did_you_mean(name, names))
    for text in also:
        parse_settings(patient.scenario, (*patient.sets, text))


class _Trials:
    def __init__(
        self,
        patient: Patient,
        progress: Progress,
        budget: Budget,
        capacity: Capacity,
        store: Store,
    ) -> None:
        self.patient, self.progress, self.budget, self.store = patient, progress, budget, store
        self.capacity = capacity
        self.settings = parse_settings(patient.scenario, patient.sets)
        self.saved: Saved | None = None
        self.after: int | None = None
        self.controls: dict[float, Tried] = {}
        self.all_runs: list[Tried] = []

    async def all(self, only: tuple[str, ...], also: tuple[str, ...]) -> Cure:
        run, event = await self.control()
        treatments = treatments_for(event, self.patient.scenario, self.settings, run, only)
        if only and not also:
            self._say_unfit(only, treatments)
        treatments = (*treatments, *(own_treatment(text) for text in also))
        firsts = await gathered(self._strongest(treatment) for treatment in treatments)
        await gathered(self._shifted(shift) for shift in SHIFTS[1:])
        left = [treatment.name for treatment, first in zip(treatments, firsts, strict=True) if first is None]
        searches = [
            self._search(treatment, first)
            for treatment, first in zip(treatments, firsts, strict=True)
            if first is not None
        ]
        # The best first: the budget may not suffice for all. Each of them ends before another begins, because a
        # smaller dose counts only at all timings.
        searches.sort(key=lambda search: search.wanted)
        await gathered(search.time_strongest() for search in searches)
        await self._in_turn([search.down_the_ladder for search in searches])
        await self._in_turn([search.between_sizes for search in searches])
        found = sorted((self._result(search) for search in searches), key=_rank)
        self._remove_unneeded(found)
        return Cure(
            control=self.controls[0.0],
            failure=_failure(run),
            failed=sum(_failed(tried.observed) for tried in self.controls.values()),
            of=len(self.controls),
            results=tuple(found),
            left=tuple(left),
            not_played=not_played(event, treatments, only),
            bounds=BOUNDS,
            seconds=self.budget.spent,
        )

    def _say_unfit(self, only: tuple[str, ...], treatments: Sequence[Treatment]) -> None:
        missing = [name for name in only if name not in {treatment.remedy for treatment in treatments}]
        if missing:
            raise UsageError(
                f"no run can try {', '.join(missing)} on this failure", where="--try", remedy="leave it out"
            )

    async def control(self) -> tuple[Run, Event]:
        """Run the control, save its past just before the failure, and return the run and the failure's event."""
        self.progress.phase("the failure, without a change")
        async with self.capacity.room_for(self.settings.memory):
            run, tried = await run_control(self.patient, 0.0, self.store)
        if tried.directory is None or run.verdict == "error":
            raise UsageError(f"the scenario does not run: {run.reason}", where=self.patient.name)
        self.controls[0.0] = tried
        event = _failure_event(tried.directory, tried.observed)
        if event is None:
            raise UsageError(
                "nothing fails here: no process was killed and no commitment was refused",
                where=self.patient.name,
                remedy="cure a run, a scenario or a log in which one was",
            )
        plan = render_plan(self.patient.scenario, self.settings)
        point = point_before_failure(tried.directory, plan)
        if point is not None:
            from rig.branch.point import named_points

            self.after = plan.steps[named_points(plan)[point]].source
        self.saved = await save_past(tried.directory, self.store, self.progress)
        return run, event

    async def _run(self, treatment: Treatment, dose: Dose, shift: float) -> Tried | None:
        """Run a dose when there is room; None when the budget is spent by then."""
        async with self.capacity.room_for(self.settings.memory):
            if not self.budget.left:
                return None
            began = self.budget.spent
            tried = await run_dose(self.patient, treatment, dose, shift, self.store, self.saved, self.after)
            self.budget.note(self.budget.spent - began)
        self.all_runs.append(tried)
        return tried

    async def _shifted(self, shift: float) -> None:
        async with self.capacity.room_for(self.settings.memory):
            if shift in self.controls:
                return
            _, self.controls[shift] = await run_control(self.patient, shift, self.store)

    async def _strongest(self, treatment: Treatment) -> Tried | None:
        tried = await self._run(treatment, treatment.doses[-1], 0.0)
        if tried is not None:
            self.progress.line(f"{tried.dose.text}: {self._outcome(tried).kind}")
        return tried

    def _outcome(self, tried: Tried) -> Outcome:
        return compare_runs(self.controls[0.0].observed, tried.observed)

    async def _in_turn(self, works: Sequence[Callable[[], Awaitable[None]]]) -> None:
        """Run these, as many at once as there is room for guests."""
        waiting = iter(works)

        async def one() -> None:
            for work in waiting:
                await work()

        await gathered(one() for _ in range(self.capacity.jobs))

    def _search(self, treatment: Treatment, first: Tried) -> Search:
        async def run(dose: Dose, shift: float) -> Tried | None:
            return await self._run(treatment, dose, shift)

        return Search(treatment, first, run, self._outcome)

    def _result(self, search: Search) -> Result:
        found = search.found
        return Result(
            search.treatment, self._outcome(found.works), found.works, found.agree, found.of, found.fails, found.runs
        )

    def _remove_unneeded(self, results: Sequence[Result]) -> None:
        """Remove the runs that no result names; the smallest dose that works and the largest that does not stay."""
        kept = {self.controls[0.0].run} | {result.works.run for result in results}
        kept |= {result.fails.run for result in results if result.fails is not None}
        for tried in (*self.all_runs, *self.controls.values()):
            if tried.directory is not None and tried.run not in kept:
                with suppress(OSError):
                    shutil.rmtree(tried.directory)


def _rank(result: Result) -> tuple[int, float, int, float, str]:
    """Sort by the outcome, by how sure it is, then by what it costs."""
    outcome = result.outcome
    return (
        ORDER.index(outcome.kind),
        -result.agree / result.of,
        max(outcome.unusable_kb, 0),
        outcome.slowdown or 1.0,
        result.treatment.name,
    )


def _failed(observed: Observed) -> bool:
    return bool(observed.victims or observed.failed is not None or observed.refusals or observed.panicked)


def _failure_event(directory: Path, observed: Observed) -> Event | None:
    """Return what failed: the first OOM report, or a refused commitment, which not every kernel reports."""
    with (directory / "console.log").open("rb") as console:
        log = read(console)
    refused = log.of_kind(Kind.COMMIT_REFUSED)
    if not log.ooms and not refused and observed.refusals:
        return Event(kind=Kind.COMMIT_REFUSED, title=f"{observed.refusals[0]} was refused")
    return next(iter((*log.ooms, *refused)), None)


def _failure(run: Run) -> str:
    if not run.ooms:
        return "a commitment was refused"
    oom = run.ooms[0]
    where = {"memcg": "a cgroup was full", "sysrq": "SysRq f"}.get(oom.scope, "the machine was out of memory")
    return f"{where}; {oom.victims} was killed at {oom.time or 0:.0f} s"
