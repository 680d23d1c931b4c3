# SPDX-License-Identifier: MIT
"""Run one dose of a treatment: as a future of the control where it is given late, else as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rig.branch.changes import Changes
from rig.branch.futures import Saved, run_futures, saved_point
from rig.branch.origin import prepare_origin, read_source
from rig.branch.point import find_point, named_points
from rig.cure.outcome import Observed, observe
from rig.cure.treatments import Dose, Treatment
from rig.errors import RigError, UsageError
from rig.experiment.request import Job, Request
from rig.experiment.run import run_job
from rig.finishing import finish_in_thread
from rig.image.store import Store
from rig.run.document import Run
from rig.run.progress import NullProgress, Progress
from rig.scenario.load import Scenario
from rig.scenario.plan import RenderedPlan, RenderedStep, render_plan
from rig.scenario.schema import Program
from rig.scenario.settings import Settings, parse_settings
from rig.telemetry.records import read_records

__all__ = ["SHIFTS", "Patient", "Tried", "point_before_failure", "run_control", "run_dose", "save_past", "with_service"]

SHIFTS = (0.0, 0.0137, 0.0391)
"""Guest seconds by which the plan begins later. A run on the warp clock is deterministic: without a shift every repeat
is the same run. They are no multiples of the timer's tick (4 ms or 10 ms)."""


@dataclass(frozen=True)
class Patient:
    """The failure that is treated: a scenario under settings, as NAME=VALUE."""

    name: str
    scenario: Scenario
    sets: tuple[str, ...] = ()
    timeout_scale: float = 1.0

    def request(self, sets: tuple[str, ...]) -> Request:
        return Request(self.name, sets, record=False, dump_panics=False, timeout_scale=self.timeout_scale)


@dataclass(frozen=True)
class Tried:
    """A run of a dose. directory: None when it could not be started."""

    dose: Dose
    shift: float
    observed: Observed
    run: str = ""
    directory: Path | None = None
    late: bool = False


async def run_control(patient: Patient, shift: float, store: Store) -> tuple[Run, Tried]:
    """Run the scenario without a change. Raises RigError when rig or the guest breaks."""
    run, directory = await _whole(patient, Dose("nothing changed"), shift, store, None)
    return run, Tried(
        Dose("nothing changed"), shift, observe(run, read_records(directory / "events.jsonl")), run.id, directory
    )


async def run_dose(
    patient: Patient,
    treatment: Treatment,
    dose: Dose,
    shift: float,
    store: Store,
    saved: Saved | None,
    after: int | None,
) -> Tried:
    """Run a dose. An error of rig or a usage error becomes a problem of what was observed.

    saved: the point just before the failure; None where the past cannot be shared.
    after: index of the step of the scenario's plan after which late changes come; None for the beginning.
    """
    try:
        late = saved is not None and not treatment.early and bool(dose.acts)
        if saved is not None and late:
            steps = _sleep(shift) + dose.acts
            future = (await run_futures(saved, [Changes(acts=steps)], jobs=1, record=False))[0]
            run, directory = future.run, future.directory
        else:
            run, directory = await _whole(patient, dose, shift, store, after)
    except RigError as error:
        return Tried(dose, shift, _broken(error))
    return Tried(dose, shift, observe(run, read_records(directory / "events.jsonl")), run.id, directory, late)


async def save_past(directory: Path, store: Store, progress: Progress) -> Saved | None:
    """Save the last named point before the failure of a kept run; return None where it cannot be."""
    try:
        source = await finish_in_thread(read_source, directory, store)
        name = point_before_failure(directory, source.plan)
        if name is None:
            return None
        origin = await prepare_origin(source, store, progress, record=False)
        return await saved_point(origin, find_point(source, name), progress)
    except RigError as error:
        progress.line(f"each remedy is a whole run: {error.what}")
        return None


def point_before_failure(directory: Path, plan: RenderedPlan) -> str | None:
    """Return the name of the last point that the run passed before its first OOM."""
    records = read_records(directory / "events.jsonl")
    oom = records.first("oom")
    ended = [
        int(step["i"])
        for step in records.of("step")
        if isinstance(step.get("i"), int) and (oom is None or step["t"] <= oom["t"])
    ]
    last = max(ended, default=-1)
    before = [name for name, index in named_points(plan).items() if index <= last]
    return before[-1] if before else None


def _sleep(shift: float) -> tuple[RenderedStep, ...]:
    return (RenderedStep("sleep", (("seconds", f"{shift:.6f}"),)),) if shift else ()


async def _whole(patient: Patient, dose: Dose, shift: float, store: Store, after: int | None) -> tuple[Run, Path]:
    sets = (*patient.sets, *dose.sets)
    settings = parse_settings(patient.scenario, sets)
    plan = render_plan(patient.scenario, settings)
    acts = () if dose.sets else dose.acts
    at = _place(plan, after) if acts else 0
    steps = (*_sleep(shift), *plan.steps[:at], *acts, *plan.steps[at:])
    plan = replace(plan, steps=steps)
    if dose.service:
        plan = with_service(patient.scenario, settings, plan, dose.service)
    return await run_job(Job(patient.scenario, settings, plan), patient.request(sets), NullProgress(), store)


def with_service(scenario: Scenario, settings: Settings, plan: RenderedPlan, service: tuple[str, ...]) -> RenderedPlan:
    """Return a plan that starts a program of the Debian package of its name before all others.

    service: the program and its arguments.
    """
    name = service[0]
    program = Program(name=name, source=f"deb:{name}", may_fail=True)
    file = scenario.file.model_copy(update={"programs": (*scenario.file.programs, program)})
    rendered = render_plan(replace(scenario, file=file), settings)
    roots = tuple(step for step in rendered.steps if step.verb == "root" and step not in plan.steps)
    words = (("program", name), ("root", name), ("oom_score_adj", "-1000"), *(("arg", word) for word in service))
    first = next((index for index, step in enumerate(plan.steps) if step.verb == "spawn"), 0)
    steps = (*roots, *plan.steps[:first], RenderedStep("spawn", words), *plan.steps[first:])
    return RenderedPlan(steps, rendered.programs)


def _place(plan: RenderedPlan, after: int | None) -> int:
    """Return the position after the last step that is from the scenario's step `after`."""
    if after is None:
        return 0
    places = [position for position, step in enumerate(plan.steps) if step.source is not None and step.source <= after]
    return max(places, default=-1) + 1


def _broken(error: RigError) -> Observed:
    what = error.what if isinstance(error, UsageError) else str(error)
    empty: Mapping[tuple[str, str], float] = {}
    return Observed(0, None, (), False, (), 0, "", 0, 0, empty, what.splitlines()[0])
