# SPDX-License-Identifier: MIT
"""The numbers of a sweep's points in columns along one axis: the kernels, or the only axis."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from rig.sweep.row import Row

__all__ = ["SideBySide", "side_by_side", "side_by_side_axis"]

MOST_COLUMNS = 8
MOST_LINES = 60
MOST_TABLES = 12

Axis = tuple[str, Sequence[str]]


@dataclass(frozen=True)
class SideBySide:
    """title: what the other axes are set to; lines: (name, a text for each column)."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]


def side_by_side_axis(axes: Sequence[Axis]) -> str | None:
    """Return the axis whose values make good columns: `kernel`, or the only one; None where there is none."""
    for name, values in axes:
        if (name == "kernel" or len(axes) == 1) and 2 <= len(values) <= MOST_COLUMNS:
            return name
    return None


def side_by_side(axes: Sequence[Axis], rows: Sequence[Row], axis: str) -> list[SideBySide]:
    """Return a table for each combination of the other axes."""
    first: dict[tuple[tuple[str, str], ...], int] = {}
    for number, row in enumerate(rows):
        first.setdefault(tuple(sorted(row.settings.items())), number)
    columns = next(tuple(values) for name, values in axes if name == axis)
    others = [each for each in axes if each[0] != axis]
    found = []
    for values in itertools.product(*(each for _, each in others)):
        fixed = dict(zip((name for name, _ in others), values, strict=True))
        numbers = [first.get(tuple(sorted({**fixed, axis: column}.items()))) for column in columns]
        runs = [None if number is None else rows[number] for number in numbers]
        if sum(run is not None for run in runs) >= 2:
            title = ", ".join(f"{name}={value}" for name, value in fixed.items())
            found.append(SideBySide(title, columns, tuple(_lines(runs))[:MOST_LINES]))
        if len(found) == MOST_TABLES:
            break
    return found


def _lines(runs: Sequence[Row | None]) -> list[tuple[str, tuple[str, ...]]]:
    shown = [_values(run) for run in runs]
    names = dict.fromkeys(name for each in shown for name in each)
    lines = [(name, tuple(each.get(name, "") for each in shown)) for name in names]
    # Lines that differ come first, and among them the verdict and the kernel's release.
    return sorted(lines, key=lambda line: len(set(line[1])) == 1)


def _values(run: Row | None) -> dict[str, str]:
    if run is None:
        return {}
    values = {"verdict": run.verdict, "Linux": run.kernel}
    for claim in run.claims:
        for value in claim.values:
            values[f"{claim.id}: {value.name}"] = value.shown
    return values
