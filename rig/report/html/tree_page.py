# SPDX-License-Identifier: MIT
"""The report of a tree as one HTML file: the past, and for each future what differed, its verdict and its timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rig.report.branch import outcome_of
from rig.report.html.drawing import DrawnPanel, draw, seconds
from rig.report.html.environment import environment, stylesheet
from rig.report.html.source import read_source
from rig.report.plots.timeline import Timeline, timeline

if TYPE_CHECKING:
    from rig.report.html.links import Link
    from rig.run.document import Claimed, Run

__all__ = ["MOST_RUNS", "ShownRun", "show_run", "tree_report"]

MOST_RUNS = 100
"""How many runs of a tree the page shows."""


@dataclass(frozen=True)
class ShownRun:
    """A run on the page.

    drawn: its memory over time, or None for a run without samples.
    link: the relative URL of its report; None where there is no report.
    at: where on the time axis it was branched off, from 0 to 1; None for the first run.
    """

    run: Run
    outcome: str
    link: str | None
    drawn: DrawnPanel | None
    ticks: tuple[tuple[float, str], ...]
    at: float | None
    not_held: tuple[Claimed, ...]


def tree_report(runs: Sequence[Run], root: Path, link: Link) -> str:
    """Return the page.

    runs: of one tree, the first of them at its top.
    root: the directory of the runs' directories.
    link: returned by link_reports() for the directory of the page.
    Raises RigError for a run that cannot be read.
    """
    shown = [show_run(run, root, link) for run in runs[:MOST_RUNS]]
    template = environment().get_template("tree.html.j2")
    return template.render(css=stylesheet(), top=runs[0], runs=shown, left_out=len(runs) - len(shown))


def show_run(run: Run, root: Path, link: Link) -> ShownRun:
    """Return a run as a page shows it. Raises RigError for a run that cannot be read."""
    source = read_source(root / run.id)
    line = timeline(run, source.records, source.oom_event)
    panels = draw(line) if line else []
    return ShownRun(
        run=run,
        outcome=outcome_of(run),
        link=link(run.id),
        drawn=panels[0] if panels else None,
        ticks=_ticks(line) if line else (),
        at=line.scale.place(run.branch.time) if line and run.branch else None,
        not_held=tuple(claim for claim in run.claims if claim.verdict in ("failed", "invalid")),
    )


def _ticks(line: Timeline) -> tuple[tuple[float, str], ...]:
    times = line.scale.ticks([mark.time for mark in line.marks])
    return tuple((line.scale.place(time), text) for time, text in zip(times, seconds(times), strict=True))
