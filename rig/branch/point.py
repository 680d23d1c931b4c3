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
from rig.units import parse_duration

if TYPE_CHECKING:
    from rig.scenario.plan import RenderedPlan

__all__ = ["Point", "find_point", "named_points"]

MOMENT = re.compile(r"(?P<event>oom|panic)(?:-(?P<before>.+))?|t=(?P<time>.+)")
WAITING = frozenset(
    [
        "wait_line",
        "wait_state",
        "wait_exit",
        "wait_port",
        "wait_rss",
        "wait_until",
        "wait_any",
        "wait_time",
        "sleep",
        "signal",
    ]
)
"""The verbs during which the agent looks whether it is to stop. A signal waits too, for a moment."""
NAMES = (("branch", "name"), ("mark", "name"), ("sample", "label"))
"""The verbs that name a point, in the order in which a name is looked for, and the key that holds the name."""


@dataclass(frozen=True)
class Point:
    """A point of a past.

    text: as the user wrote it.
    stop: where the agent stops the machine.
    first: index of the first step that the futures may have otherwise.
    moment: guest seconds at which the futures begin to differ, if that is later than the stop.
    begun: guest seconds at which the step began that the stop interrupts.
    """

    text: str
    stop: Stop
    first: int
    moment: float | None = None
    begun: float | None = None


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
    """Return the point of a moment: the guest is stopped after the last record before it, and waits for the rest.

    Between two records nothing of the plan happens, so the futures have the run's past until the moment.
    """
    if source.records is None:
        raise UsageError(f"'{text}' is a moment of a run, and there is no run", where="--at", remedy="name a mark")
    time = _seconds(source, text, match)
    records = source.records.items
    go = source.records.first("go")
    if go is None or not float(go["t"]) <= time <= float(records[-1]["t"]):
        begin = "?" if go is None else f"{float(go['t']):.3f}"
        raise UsageError(
            f"{time:.3f} s is not a time of this run's plan",
            where=f"--at {text}",
            remedy=f"it went from {begin} s to {float(records[-1]['t']):.3f} s of the guest's clock",
        )
    before = [record for record in records if go["n"] <= record["n"] and float(record["t"]) <= time]
    rest = [record for record in records if record["n"] > before[-1]["n"]]
    # The record of a step that does not wait follows at once, before the agent looks whether it is to stop.
    if rest and rest[0]["ev"] == "step" and rest[0].get("verb") not in WAITING:
        before.append(rest[0])
    steps = [record for record in before if record["ev"] == "step" and isinstance(record.get("i"), int)]
    first = steps[-1]["i"] + 1 if steps else 0
    begun = float(steps[-1]["t"]) if steps else float(go["t"])
    return Point(text, Stop(record=int(before[-1]["n"])), first, moment=time, begun=begun)


def _seconds(source: Source, text: str, match: re.Match[str]) -> float:
    """Return the guest seconds that a moment names."""
    try:
        if match["time"]:
            return parse_duration(match["time"])
        before = parse_duration(match["before"]) if match["before"] else 0.0
    except ValueError as error:
        raise UsageError(str(error), where=f"--at {text}", remedy="as in t=100s or oom-1s") from None
    run = source.run
    assert run is not None
    if match["event"] == "oom":
        found = next((oom.time for oom in run.ooms if oom.time is not None), None)
    else:
        found = next((event.time for event in run.events if event.kind == "panic" and event.time is not None), None)
    if found is None:
        what = "no OOM" if match["event"] == "oom" else "no panic"
        raise UsageError(f"there was {what} in this run", where=f"--at {text}", remedy="name a mark, or t=TIME")
    return found - before
