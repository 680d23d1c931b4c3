# SPDX-License-Identifier: MIT
"""Links from a page that shows several runs to the report of each, in the run's own directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from rig.errors import RigError
from rig.report.html.page import report
from rig.report.html.source import read_source
from rig.run.run_id import is_run_id
from rig.whole_file import write_whole

__all__ = ["link_beside", "write_reports"]

MOST_REPORTS = 200
"""A report takes a tenth of a second."""


def write_reports(runs: Iterable[str], *, runs_of: Path) -> None:
    """Write the reports that a page leads to, where they are not there yet; without those of damaged runs.

    runs: ids of runs, whose directories are below `runs_of`.
    """
    for run in [run for run in runs if is_run_id(run)][:MOST_REPORTS]:
        directory = runs_of / run
        if (directory / "run.json").is_file() and not (directory / "report.html").exists():
            with suppress(RigError, OSError):
                write_whole(directory / "report.html", report(read_source(directory)).encode(errors="replace"))


def link_beside(directory: Path, *, runs_of: Path) -> Callable[[str], str | None]:
    """Return a function from a run's id to the relative link from `directory` to its report below `runs_of`.

    The link is None for a report that has not been written.
    """

    def link(run: str) -> str | None:
        there = runs_of / run / "report.html"
        if not run or os.sep in run or not there.is_file():
            return None
        return Path(os.path.relpath(there.resolve(), directory.resolve())).as_posix()

    return link
