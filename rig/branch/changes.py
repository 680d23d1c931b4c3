# SPDX-License-Identifier: MIT
"""What is different in a future: settings and acts, and the steps of the plan that come of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rig.branch.origin import Source
from rig.branch.point import Point
from rig.errors import UsageError
from rig.image.continuation import Continuation
from rig.scenario.parameter import GUEST_SETTINGS
from rig.scenario.plan import RenderedPlan, RenderedStep, render_plan
from rig.scenario.settings import Settings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Changes", "FuturePlan", "continued", "counted_steps", "plan_future"]

Place = tuple[int | None, int]
"""Where a step comes from: its index in scenario.toml, and which repeat of it it is."""

COUNTING = ("wait_line", "wait_any")
"""Verbs that count what came before they began: the agent keeps the count of such a step (key `was`)."""


@dataclass(frozen=True)
class Changes:
    """What is different in a future. Nothing is different in a control.

    sets: settings as NAME=VALUE: sysctls, and parameters that only later steps use.
    acts: steps that are done first.
    """

    sets: tuple[str, ...] = ()
    acts: tuple[RenderedStep, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return each change as a user reads it."""
        return (*self.sets, *(act.text().replace("\t", " ") for act in self.acts))

    @property
    def label(self) -> str:
        """Return all of them in one line."""
        return " ".join(self.texts) or "nothing changed"


@dataclass(frozen=True)
class FuturePlan:
    """The settings and the whole plan of a future, and the part of the plan that is still to come."""

    settings: Settings
    plan: RenderedPlan
    continuation: Continuation


def plan_future(source: Source, point: Point, changes: Changes) -> FuturePlan:
    """Return the plan of a future.

    Raises UsageError for a setting of the guest, which cannot change any more, and for a parameter that a step before
    the point has used.
    """
    _refuse_guest(source, changes.sets)
    before = source.settings.given or {}
    sets = [*(f"{name}={value}" for name, value in before.items()), *changes.sets]
    settings = parse_settings(source.scenario, sets, to_the_end=source.settings.to_the_end)
    steps = _steps(source, settings, changes.sets)
    _refuse_used(source, point, steps, changes.sets)
    changed = {name: value for name, value in settings.sysctls.items() if source.settings.sysctls.get(name) != value}
    first = [RenderedStep("sysctl", (("name", name), ("value", value))) for name, value in changed.items()]
    # The guest was saved at the last record before the moment (point.py), so a change waits for the moment itself.
    if point.moment is not None:
        first.insert(0, RenderedStep("wait_time", (("at", f"{point.moment:.6f}"),)))
    first += changes.acts
    rest = _resumed(point, steps[point.first :])
    text = "".join(f"{step.text()}\n" for step in first)
    text += continued([*steps[: point.first], *rest], point.first, counted_steps(source.plan.steps))
    plan = RenderedPlan((*source.plan.steps[: point.first], *first, *rest), source.plan.programs)
    return FuturePlan(settings, plan, Continuation(point.first, text))


def continued(steps: Sequence[RenderedStep], first: int, counted: Mapping[Place, int]) -> str:
    """Return the lines of the steps that are still to come, in the format of a plan.

    first: index of the first of them.
    counted: counted_steps() of the plan that the guest had until then.
    """
    lines = []
    for step, place in zip(steps[first:], _keys(steps)[first:], strict=True):
        was = counted.get(place) if step.verb in COUNTING else None
        lines.append(step.text() + ("\n" if was is None else f"\twas={was}\n"))
    return "".join(lines)


def counted_steps(steps: Sequence[RenderedStep]) -> dict[Place, int]:
    """Return place -> index of each step whose count the agent keeps."""
    return {
        place: index
        for index, (place, step) in enumerate(zip(_keys(steps), steps, strict=True))
        if place[0] is not None and step.verb in COUNTING
    }


def _resumed(point: Point, rest: list[RenderedStep]) -> list[RenderedStep]:
    """Return the steps to come. A sleep that the stop interrupts ends when it would have ended."""
    if point.begun is None or not rest or rest[0].verb != "sleep":
        return rest
    end = point.begun + float(dict(rest[0].words)["seconds"])
    return [replace(rest[0], verb="wait_time", words=(("at", f"{end:.6f}"),)), *rest[1:]]


def _steps(source: Source, settings: Settings, sets: Iterable[str]) -> list[RenderedStep]:
    """Return the source's plan under other settings, with the sysctls and acts that it has had.

    sets: what is different from the source's settings.
    """
    if source.root is not None:
        root = source.root
        later = tuple(text for text in sets if "." not in text.partition("=")[0])
        changes = replace(root.changes, sets=(*root.changes.sets, *later))
        return list(plan_future(root.source, root.point, changes).plan.steps)
    plan = render_plan(source.scenario, settings)
    labels = {step.words: step for step in source.plan.steps if step.verb == "root"}
    own = [step for step in plan.steps if not (step.source is None and step.verb == "sysctl")]
    # Layers have got labels in the source's plan; they are the same, because the programs are.
    roots = list(labels.values())
    own = [roots.pop(0) if step.verb == "root" and step.source is None and roots else step for step in own]
    return [step for step in source.plan.steps if step.source is None and step.verb == "sysctl"] + own


def _refuse_guest(source: Source, sets: Iterable[str]) -> None:
    for text in sets:
        name = text.partition("=")[0].strip()
        if name in GUEST_SETTINGS:
            raise UsageError(
                f"{name} cannot differ in a future: the guest has been running with it",
                where=f"--set {text}",
                remedy=f"run it anew: rig run {source.request.scenario} --set {text}",
            )


def _refuse_used(source: Source, point: Point, steps: list[RenderedStep], sets: tuple[str, ...]) -> None:
    """Raise UsageError when steps before the point would have been others."""
    if steps[: point.first] == list(source.plan.steps[: point.first]):
        return
    for text in sets:
        name = text.partition("=")[0].strip()
        if name not in source.scenario.parameters:
            continue
        given = {**(source.settings.given or {}), name: text.partition("=")[2].strip()}
        try:
            alone = parse_settings(
                source.scenario,
                [f"{key}={value}" for key, value in given.items()],
                to_the_end=source.settings.to_the_end,
            )
        except UsageError:
            continue
        own = _steps(source, alone, [text])
        for index, step in enumerate(source.plan.steps[: point.first]):
            if index >= len(own) or own[index] != step:
                raise UsageError(
                    f"{name} was used before '{point.text}': by step {index} of the plan",
                    where=f"--set {text}",
                    remedy="branch before that step, or run it anew with that setting",
                    detail=step.text().replace("\t", " "),
                )
    raise UsageError(
        f"the plan before '{point.text}' would be another under these settings",
        where=", ".join(sets),
        remedy="run it anew with these settings",
    )


def _keys(steps: Iterable[RenderedStep]) -> list[Place]:
    """Return a name for each step that a change of settings does not change: its source, and which repeat it is."""
    seen: Counter[int | None] = Counter()
    keys = []
    for step in steps:
        keys.append((step.source, seen[step.source]))
        seen[step.source] += 1
    return keys
