# SPDX-License-Identifier: MIT
"""The remedies of a failure as one HTML file: what each did, and the runs' timelines beside that of the failure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rig.report.cure import costs_of, outcome_text
from rig.report.html.environment import environment, stylesheet
from rig.report.html.tree_page import ShownRun, show_run

if TYPE_CHECKING:
    from rig.cure.cure import Cure, Result
    from rig.cure.trial import Tried
    from rig.report.html.links import Link

__all__ = ["cure_report"]


@dataclass(frozen=True)
class _Row:
    """A remedy on the page. shown: the run of the dose, or None where none could be started."""

    outcome: str
    works: str
    fails: str
    timings: str
    costs: str
    run: str
    shown: ShownRun | None


def cure_report(found: Cure, link: Link) -> str:
    """Return the page. Raises RigError for a damaged run.

    link: returned by link_reports() for the directory of the page.
    """
    control = _shown(found.control, link)
    timings = f"{found.failed} of {found.of}"
    first = _Row("the failure", "nothing changed", "", timings, "", found.control.run, control)
    return (
        environment()
        .get_template("cure.html.j2")
        .render(
            css=stylesheet(),
            control=control,
            failure=found.failure,
            failed=found.failed,
            of=found.of,
            seconds=found.seconds,
            rows=[first, *(_row(result, link) for result in found.results)],
            bounds=found.bounds,
            not_played=found.not_played,
            left=found.left,
        )
    )


def _row(result: Result, link: Link) -> _Row:
    fails = result.fails.dose.text if result.fails is not None else ""
    return _Row(
        outcome_text(result), result.works.dose.text, fails, f"{result.agree} of {result.of}", costs_of(result),
        result.works.run, _shown(result.works, link),
    )  # fmt: skip


def _shown(tried: Tried, link: Link) -> ShownRun | None:
    from rig.run.directory import read_run

    if tried.directory is None:
        return None
    return show_run(read_run(tried.directory), Path(tried.directory).parent, link)
