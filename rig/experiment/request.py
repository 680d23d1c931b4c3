# SPDX-License-Identifier: MIT
"""A request to run a scenario, and the job that it becomes once it was checked and rendered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.experiment.departure import Departure
from rig.experiment.prepare import PreparedGuest
from rig.image.payload import Payload
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import RenderedPlan, render_plan
from rig.scenario.settings import Settings, parse_settings

if TYPE_CHECKING:
    from rig.image.layer.layer import LayerImage
    from rig.run.document import ProgramRun
    from rig.scenario.evidence import Evidence
    from rig.scenario.judge import Judgement

__all__ = ["Depart", "Job", "Request", "check_job", "check_request"]


@dataclass(frozen=True)
class Request:
    """The options of a run.

    sets: settings as NAME=VALUE; later ones override earlier ones.
    append: words for the kernel's command line.
    reuse: whether the cache keeps the image of its payload for a run that is the same.
    prefix: whether it begins with a past that the cache holds, and keeps one for the next run.
    """

    scenario: str
    sets: tuple[str, ...] = ()
    to_the_end: bool = False
    record: bool = True
    dump_panics: bool = True
    append: tuple[str, ...] = ()
    qemu_args: tuple[str, ...] = ()
    timeout_scale: float = 1.0
    reuse: bool = False
    prefix: bool = False


Depart = Callable[["Job", "PreparedGuest", Payload], Awaitable[Departure | None]]
"""Choose where a run begins: a kept past of it, or None for the boot. Called with the payload of the boot."""


@dataclass(frozen=True)
class Job:
    """A request that was checked and rendered; from here on no usage error is expected.

    extra: further files of the payload, beside the plan and the scenario's programs.
    layers: filesystem layers of the programs' roots.
    judge: replaces the judgement by the scenario's claims.
    plan_deadline: host seconds for the plan; None for the default of the clock.
    longest_silence: host seconds between two of the agent's records; None for a plan that does not report periodically.
    program: returns the entry `program` of run.json, for `rig exec`.
    departure: where a run begins that was branched off another one.
    depart: chooses where it begins, once the guest is known.
    """

    scenario: Scenario
    settings: Settings
    plan: RenderedPlan
    extra: Payload = field(default_factory=Payload)
    layers: tuple[LayerImage, ...] = ()
    judge: Callable[[Evidence], Judgement] | None = None
    plan_deadline: float | None = None
    program: Callable[[], ProgramRun] | None = None
    departure: Departure | None = None
    depart: Depart | None = None
    longest_silence: float | None = None


def check_job(request: Request) -> Job:
    """Return a request, checked and rendered. Raises UsageError for an unknown scenario or an invalid value."""
    scenario = load_scenario(request.scenario)
    settings = parse_settings(scenario, request.sets, to_the_end=request.to_the_end)
    return Job(scenario, settings, render_plan(scenario, settings))


def check_request(request: Request) -> tuple[Settings, RenderedPlan]:
    """Return the settings and the plan of a request, without starting a guest.

    Raises UsageError for an unknown scenario or an invalid value.
    """
    ready = check_job(request)
    return ready.settings, ready.plan
