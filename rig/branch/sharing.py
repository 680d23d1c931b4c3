# SPDX-License-Identifier: MIT
"""Find runs that have a past in common, so that it is run once: the points of a sweep, the steps of a search.

A past is common when the plans are the same up to a branch point. Sysctls that only the OOM killer reads do not shape
the past as long as no OOM is in it, so they are set at the branch point.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rig.branch.changes import Changes, plan_future
from rig.branch.futures import Future, Saved, open_origin, run_future, saved_point
from rig.branch.origin import Source
from rig.branch.point import Point, find_point, named_points
from rig.errors import RigError, UsageError
from rig.experiment.layers import resolve_layers
from rig.experiment.request import Request
from rig.finishing import end
from rig.image.store import Store
from rig.scenario.load import Scenario
from rig.scenario.plan import RenderedPlan, RenderedStep, render_plan
from rig.scenario.settings import Settings, parse_settings

__all__ = ["OOM_SYSCTLS", "Pasts", "SharedPast", "past_at", "shared_pasts"]

logger = logging.getLogger(__name__)

OOM_SYSCTLS = frozenset({"vm.panic_on_oom", "vm.oom_kill_allocating_task", "vm.oom_dump_tasks"})
"""Sysctls that nothing but mm/oom_kill.c reads: check_panic_on_oom(), out_of_memory() and dump_header()."""
MOST_RUNS = 2000
"""Runs that are compared: rendering their plans takes some milliseconds each, before the first of them starts."""
FEWEST = 3
"""Runs for which a past is worth saving: that takes as long as one of them, and a second more."""

Sets = tuple[str, ...]


@dataclass(frozen=True)
class SharedPast:
    """A past that several runs have. source: has no run; its plan is that of one of them."""

    source: Source
    point: Point

    @property
    def sets(self) -> Sets:
        """The settings under which the past is run, as past_at() takes them."""
        return tuple(f"{name}={value}" for name, value in (self.source.settings.given or {}).items())

    def changes(self, sets: Sets) -> Changes:
        """Return what is different in the run with these settings since the point."""
        own = self.source.settings.given or {}
        return Changes(tuple(text for text in sets if own.get(text.partition("=")[0].strip()) != _value(text)))


def _value(text: str) -> str:
    return text.partition("=")[2].strip()


@dataclass(frozen=True)
class _Candidate:
    number: int
    sets: Sets
    settings: Settings
    plan: RenderedPlan
    steps: tuple[RenderedStep, ...]


def shared_pasts(
    store: Store, scenario: Scenario, runs: Sequence[Sets], *, fewest: int = FEWEST, request: Request | None = None
) -> dict[int, SharedPast]:
    """Return position of a run -> the past that it shares with at least `fewest` runs.

    runs: the settings of each run. A run whose settings are invalid shares nothing.
    """
    groups: dict[Any, list[_Candidate]] = {}
    known: dict[Sets, tuple[Settings, RenderedPlan] | None] = {}
    for number, sets in enumerate(runs[:MOST_RUNS]):
        if sets not in known:
            known[sets] = _rendered(scenario, sets)
        if (found := known[sets]) is None:
            continue
        settings, plan = found
        steps = tuple(step for step in plan.steps if not _is_moved(step, settings))
        guest = (settings.guest().items(), settings.kernel, settings.image, settings.accel, plan.programs)
        groups.setdefault(repr(guest), []).append(_Candidate(number, sets, settings, plan, steps))
    pasts: dict[int, SharedPast] = {}
    for group in groups.values():
        pasts |= _in_group(store, scenario, group, fewest, request)
    return pasts


def _rendered(scenario: Scenario, sets: Sets) -> tuple[Settings, RenderedPlan] | None:
    """Return settings and plan of a run that may begin at a branch point, or None."""
    try:
        settings = parse_settings(scenario, sets)
        if settings.clock != "warp" or settings.swap or settings.disk:
            return None
        return settings, render_plan(scenario, settings)
    except UsageError:
        return None


def _is_moved(step: RenderedStep, settings: Settings) -> bool:
    """Return whether a step only sets a sysctl of the user's that is as well set at a branch point."""
    name = dict(step.words).get("name", "")
    return step.verb == "sysctl" and step.source is None and name in OOM_SYSCTLS and name in (settings.given or {})


def _in_group(
    store: Store, scenario: Scenario, group: list[_Candidate], fewest: int, request: Request | None
) -> dict[int, SharedPast]:
    """Give the largest common past to as many runs as have it, then look at those that are left."""
    found: dict[int, SharedPast] = {}
    left = list(group)
    while len(left) >= fewest:
        pasts: dict[tuple[str, tuple[RenderedStep, ...]], list[_Candidate]] = {}
        for each in left:
            for name, index in named_points(RenderedPlan(each.steps, ())).items():
                pasts.setdefault((name, each.steps[: index + 1]), []).append(each)
        worth = {past: len(past[1]) * (len(runs) - 1) for past, runs in pasts.items() if len(runs) >= fewest}
        if not worth:
            break
        best = max(worth, key=lambda past: worth[past])
        base = (text for text in pasts[best][0].sets if text.partition("=")[0].strip() not in OOM_SYSCTLS)
        shared = past_at(store, scenario, tuple(base), best[0], request)
        found |= {each.number: shared for each in pasts[best]}
        taken = {each.number for each in pasts[best]}
        left = [each for each in left if each.number not in taken]
    return found


def past_at(store: Store, scenario: Scenario, sets: Sets, point: str, request: Request | None = None) -> SharedPast:
    """Return the past of a run with these settings up to a branch point.

    Raises UsageError for invalid settings, and for a point that the plan does not have.
    """
    settings = parse_settings(scenario, sets)
    plan, layers = resolve_layers(store, render_plan(scenario, settings))
    own = request or Request(str(scenario.directory), dump_panics=False)
    source = Source(own, scenario, settings, plan, layers)
    return SharedPast(source, find_point(source, point))


@dataclass
class Pasts:
    """The shared pasts of one sweep or search. Each is saved when the first run needs it."""

    store: Store
    shared: Mapping[Any, SharedPast]
    record: bool = False
    timeout_scale: float = 1.0
    _saved: dict[int, asyncio.Task[Saved | None]] = field(default_factory=dict)

    async def run(self, key: Any, sets: Sets) -> Future | None:
        """Run from the past that this run shares, and return its future; None if it must be run as a whole.

        key: the run's key in `shared`.
        """
        try:
            past = self.shared[key]
        except KeyError:
            return None
        changes = past.changes(sets)
        try:
            plan_future(past.source, past.point, changes)
        except UsageError:
            return None
        if id(past) not in self._saved:
            self._saved[id(past)] = asyncio.ensure_future(self._save(past))
        # Shielded, because all runs of the past wait for this one task: a run that is cancelled must not end it.
        saved = await asyncio.shield(self._saved[id(past)])
        # The sysctls of OOM_SYSCTLS shape an OOM. With one before the point, a run that sets them has another past.
        if saved is None or (_sets_oom(changes) and saved.branch_point.had_oom):
            return None
        return await run_future(saved, changes, record=self.record, timeout_scale=self.timeout_scale)

    async def _save(self, past: SharedPast) -> Saved | None:
        try:
            origin = await open_origin(past.source, self.store, record=self.record, timeout_scale=self.timeout_scale)
            return await saved_point(origin, past.point, timeout_scale=self.timeout_scale)
        except RigError as error:
            logger.warning("the common past is not saved, each run has its own: %s", error.what)
            return None

    async def close(self) -> None:
        """Stop what is being saved."""
        await end(*self._saved.values())


def _sets_oom(changes: Changes) -> bool:
    return any(text.partition("=")[0].strip() in OOM_SYSCTLS for text in changes.sets)
