# SPDX-License-Identifier: MIT
"""The report of a sweep as one HTML file: a map of verdicts over the axes, each cell leading to its runs below.

With more than two axes there is a small map for each combination of the others' values, for example one a kernel.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

from rig.report.html.environment import environment, stylesheet
from rig.report.html.side_by_side import side_by_side, side_by_side_axis
from rig.sanitize import plain
from rig.sweep.row import Row

if TYPE_CHECKING:
    from rig.report.html.links import Link

__all__ = ["Cell", "Grid", "grids", "sweep_report"]

LETTERS = {"reproduced": "R", "not-reproduced": "N", "invalid": "I", "error": "E"}
MOST_RUNS = 2000

Axis = tuple[str, Sequence[str]]


@dataclass(frozen=True)
class Cell:
    """A point with the counts of its verdicts, the worst first. point is None when no run exists yet."""

    point: int | None
    verdicts: tuple[tuple[str, int], ...] = ()

    @property
    def css(self) -> str:
        return self.verdicts[0][0] if len(self.verdicts) == 1 else "unstable" if self.verdicts else "empty"

    @property
    def letters(self) -> str:
        return "".join(LETTERS.get(verdict, "?") for verdict, _ in self.verdicts)

    @property
    def words(self) -> str:
        return ", ".join(f"{count} {verdict}" for verdict, count in self.verdicts) or "not run"


@dataclass(frozen=True)
class Grid:
    """One map. title: what the other axes are set to; lines: (value of the axis downwards, its cells)."""

    title: str
    across: Axis
    down: str
    lines: tuple[tuple[str, tuple[Cell, ...]], ...]


def grids(axes: Sequence[Axis], rows: Sequence[Row]) -> list[Grid]:
    """Return the maps: the last axis to the right, the one before it downwards, a map for each value of the others."""
    if not axes:
        return []
    across: Axis = axes[-1]
    down: Axis = axes[-2] if len(axes) > 1 else ("", ("",))
    others = axes[:-2]
    by_settings: dict[tuple[tuple[str, str], ...], list[tuple[int, str]]] = {}
    for row in rows:
        by_settings.setdefault(tuple(sorted(row.settings.items())), []).append((row.point, row.verdict))
    found = []
    for values in itertools.product(*(each for _, each in others)):
        fixed = dict(zip((name for name, _ in others), values, strict=True))
        lines = []
        for line in down[1]:
            wanted = [{**fixed, **({down[0]: line} if down[0] else {}), across[0]: value} for value in across[1]]
            lines.append((line, tuple(_cell(by_settings.get(tuple(sorted(each.items())), [])) for each in wanted)))
        title = ", ".join(f"{name}={value}" for name, value in fixed.items())
        found.append(Grid(title, across, down[0], tuple(lines)))
    return found


def sweep_report(
    scenario: str,
    sweep: str,
    axes: Sequence[Axis],
    fixed: Mapping[str, str],
    rows: Sequence[Row],
    link: Link = lambda run: None,
) -> str:
    """Return the page. axes: (setting, its values); fixed: settings that all points share.

    link: returned by link_reports() for the directory of the page.
    """
    axis = side_by_side_axis(axes)
    counts = Counter[str](row.verdict for row in rows)
    shown = nsmallest(MOST_RUNS, map(_without_held_claims, rows), key=lambda row: (row.point, row.repeat))
    points = [(point, list(runs)) for point, runs in itertools.groupby(shown, key=lambda row: row.point)]
    return environment().get_template("sweep.html.j2").render(
        scenario=plain(scenario),
        sweep=plain(sweep),
        css=stylesheet(),
        counts=[(verdict, counts[verdict]) for verdict in LETTERS if counts[verdict]],
        letters=LETTERS,
        grids=grids(axes, rows),
        names=[plain(name) for name, _ in axes],
        fixed=" ".join(f"{name}={value}" for name, value in fixed.items()),
        points=points,
        left_out=len(rows) - len(shown),
        spread=_spread,
        link=link,
        axis=axis or "",
        tables=side_by_side(axes, rows, axis) if axis else [],
    )  # fmt: skip


def _without_held_claims(row: Row) -> Row:
    """Return a row with the claims alone that the page shows."""
    return row.model_copy(
        update={"claims": tuple(claim for claim in row.claims if claim.verdict in ("failed", "invalid"))}
    )


def _cell(runs: Sequence[tuple[int, str]]) -> Cell:
    """Return the cell of these runs, each as its point and its verdict."""
    if not runs:
        return Cell(None)
    order = list(LETTERS)
    counts = Counter(verdict for _, verdict in runs)
    verdicts = sorted(counts.items(), key=lambda item: -order.index(item[0]) if item[0] in order else -len(order))
    return Cell(runs[0][0], tuple(verdicts))


def _spread(values: Sequence[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return "–"
    low, high = min(there), max(there)
    return f"{low:.1f} s" if high - low < 0.05 else f"{low:.1f} to {high:.1f} s"
