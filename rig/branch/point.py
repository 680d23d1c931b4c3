# SPDX-License-Identifier: MIT
"""Points at which a run can be branched: how a user writes them, and where in the plan they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig.branch.origin import Source
from rig.errors import UsageError
from rig.image.continuation import Stop
from rig.scenario.suggestion import did_you_mean

if TYPE_CHECKING:
    from rig.scenario.plan import RenderedPlan

__all__ = ["Point", "find_point", "named_points"]

MOMENT = re.compile(r"(?P<event>oom|panic)(?:-(?P<before>.+))?|t=(?P<time>.+)")
NAMES = (("branch", "name"), ("mark", "name"), ("sample", "label"))
"""The verbs that name a point, in the order in which a name is looked for, and the key that holds the name."""


@dataclass(frozen=True)
class Point:
    """A point of a past.

    text: as the user wrote it.
    stop: where the agent stops the machine.
    first: index of the first step that the futures may have otherwise.
    moment: guest seconds at which the futures begin to differ, if that is later than the stop.
    remaining: guest seconds left at that moment of the step that is interrupted, by the key that bounds it.
    """

    text: str
    stop: Stop
    first: int
    moment: float | None = None


def named_points(plan: RenderedPlan) -> dict[str, int]:
    """Return the names of a plan's points, with the index of the step after which each is, in the plan's order."""
    found: dict[str, int] = {}
    for verb, key in NAMES:
        for index, step in enumerate(plan.steps):
            name = dict(step.words).get(key) if step.verb == verb else None
            if name is not None and index + 1 < len(plan.steps):
                found.setdefault(name, index)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def find_point(source: Source, text: str) -> Point:
    """Return the point that a text names.

    text: the name of a step `branch` or `mark`, the label of a sample, t=TIME, oom, panic, oom-TIME or panic-TIME.
    Raises UsageError for a name that the plan does not have, and for a point that the run did not come to.
    """
    points = named_points(source.plan)
    if text in points:
        index = points[text]
        _refuse_unreached(source, index, text)
        return Point(text, Stop(step=index + 1), index + 1)
    match = MOMENT.fullmatch(text)
    if match is None:
        raise UsageError(
            f"the plan has no point '{text}'",
            where="--at",
            remedy=did_you_mean(text, points, kind="point"),
            detail=f"its points: {', '.join(points)}, and moments as in t=100s or oom-1s",
        )
    return _moment(source, text, match)


def _refuse_unreached(source: Source, index: int, text: str) -> None:
    """Raise UsageError when the run ended before the step that names the point was done."""
    if source.records is None:
        return
    done = {record.get("i") for record in source.records.of("step") if record.get("ok") is True}
    if index not in done:
        raise UsageError(
            f"the run ended before it came to '{text}'",
            where="--at",
            remedy="one of " + ", ".join(name for name, at in named_points(source.plan).items() if at in done),
        )


def _moment(source: Source, text: str, match: re.Match[str]) -> Point:
    raise UsageError(f"moments are not points yet: '{text}'", where="--at", remedy="name a mark or a sample")
