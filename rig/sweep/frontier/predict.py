# SPDX-License-Identifier: MIT
"""Predict the edges of a search from the numbers that its guests reported, by the kernel's arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from rig.run.directory import runs_directory
from rig.scenario.settings import Settings
from rig.sweep.frontier.arithmetic import AXES, Asked, Foreseen, Measured, at_value, edges_between, foresee
from rig.sweep.frontier.scale import Scale
from rig.sweep.frontier.search import Edge
from rig.sweep.row import Row
from rig.telemetry.records import read_records

__all__ = ["asked_by", "matching", "measured", "predict", "without_unread_claims"]

LEFT = "copied-what-was-left.left"
START = "start"


def asked_by(settings: Settings) -> Asked | None:
    """Return the requests of these settings, or None if the arithmetic has no rule for the scenario or for zram."""
    sizes = [settings.parameters.get(name) for name in ("parent", "hog", "step")]
    if not all(isinstance(size, int) for size in sizes) or settings.zram:
        return None
    parent, hog, step = (Fraction(size) for size in sizes if isinstance(size, int))
    numbers: dict[str, Fraction] = {}
    for name, field in AXES.items():
        text = settings.sysctls.get(name)
        if text is not None and text.strip().isdigit():
            numbers[field] = Fraction(text.strip())
    return Asked(parent, hog, step, Fraction(settings.memory), Fraction(settings.swap), **numbers)


def measured(row: Row, asked: Asked, directory: Path | None = None) -> Measured | None:
    """Return the numbers of a run, from its first sample and its claims; None if it has no sample.

    If no claim was judged on the memory left, it is estimated: MemAvailable at the start, less what the point takes.
    directory: directory of the run, if it is not in the directory of runs.
    """
    try:
        records = read_records((directory or runs_directory() / row.run) / "events.jsonl").items
    except OSError:
        return None
    samples = (each for each in records if each["ev"] == "sample" and each.get("label") == START)
    fields: dict[str, Any] = next(samples, {}).get("meminfo", {})
    names = ("MemTotal", "MemAvailable", "Committed_AS")
    if not row.run or not all(isinstance(fields.get(name), int) for name in names):
        return None
    total, available, committed = (Fraction(fields[name]) * 1024 for name in names)
    judged = row.values().get(LEFT)
    left = available + asked.swap - asked.taken if judged is None else Fraction(judged)
    return Measured(asked, total, committed, left, judged is not None)


def without_unread_claims(row: Row) -> Row:
    """Return a row with only the claim that measured() reads: a search holds its rows, and claims are most of them."""
    return row.model_copy(update={"claims": tuple(claim for claim in row.claims if LEFT.startswith(f"{claim.id}."))})


def predict(scale: Scale, rows: Sequence[Row], settings_of: Callable[[Row], Settings | None]) -> tuple[Foreseen, ...]:
    """Return the predicted edges in the range, lowest first; empty if the arithmetic has no rule for the axis.

    Each edge is computed from the run nearest to it. Runs with a measured `left` are preferred to those with an
    estimated one.
    """
    field = AXES.get(scale.name)
    known: list[Measured] = []
    for row in rows if field is not None else ():
        settings = settings_of(row)
        asked = None if settings is None or row.verdict == "error" else asked_by(settings)
        found = None if asked is None else measured(row, asked)
        if found is not None:
            known.append(found)
    if field is None or not known:
        return ()
    known = [each for each in known if each.judged] or known

    def place(each: Measured) -> Fraction:
        return Fraction(getattr(each.asked, field) or 0)

    def foreseen(one: Measured) -> list[Foreseen]:
        return list(edges_between(scale.low, scale.high, lambda x: foresee(at_value(one.asked, field, x), one)))

    edges = []
    for first in foreseen(known[len(known) // 2]):
        nearest = min(known, key=lambda each: abs(place(each) - first.value))
        edges.append(matching(first, foreseen(nearest), first.value) or first)
    return tuple(edges)


def matching(edge: Edge | Foreseen, foreseen: Sequence[Foreseen], value: Fraction) -> Foreseen | None:
    """Return the predicted edge between the same two verdicts that is nearest to `value`, or None."""
    same = [each for each in foreseen if (each.below, each.above) == (edge.below, edge.above)]
    return min(same, key=lambda each: abs(each.value - value), default=None)
