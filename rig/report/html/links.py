# SPDX-License-Identifier: MIT
"""Write the reports of the runs that a page shows, each in its run's directory, and link the page to them."""

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

__all__ = ["Link", "link_beside", "link_reports", "write_reports"]

Link = Callable[[str], str | None]
"""A function from a run's id to the relative URL of the run's report, or to None where there is no report."""

MOST_REPORTS = 200
"""How many runs of a page may have their reports written: to write one takes a tenth of a second."""


def write_reports(runs: Iterable[str], *, runs_of: Path) -> None:
    """Write report.html into the directory of each run that has none. Skip runs that are damaged.

    runs: ids of runs. Texts that are not ids are skipped, and so are the runs after the first MOST_REPORTS.
    runs_of: the directory that contains the runs' directories.
    """
    for run in [run for run in runs if is_run_id(run)][:MOST_REPORTS]:
        directory = runs_of / run
        if (directory / "run.json").is_file() and not (directory / "report.html").exists():
            with suppress(RigError, OSError):
                write_whole(directory / "report.html", report(read_source(directory)).encode(errors="replace"))


def link_reports(runs: Iterable[str], directory: Path, *, runs_of: Path) -> Link:
    """Write the reports that are missing, and return the links of a page in `directory`.

    runs, runs_of: as for write_reports().
    """
    write_reports(runs, runs_of=runs_of)
    return link_beside(directory, runs_of=runs_of)


def link_beside(directory: Path, *, runs_of: Path) -> Link:
    """Return the links of a page.

    directory: where the page is.
    runs_of: the directory that contains the runs' directories.
    """

    def link(run: str) -> str | None:
        there = runs_of / run / "report.html"
        if not run or os.sep in run or not there.is_file():
            return None
        return Path(os.path.relpath(there.resolve(), directory.resolve())).as_posix()

    return link
