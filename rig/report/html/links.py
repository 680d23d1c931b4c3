# SPDX-License-Identifier: MIT
"""Links from a sweep's page to the reports of its runs, which are in directories beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["link_beside"]


def link_beside(directory: Path, *, runs_of: Path) -> Callable[[str], str | None]:
    """Return a function from a run's id to the relative link from `directory` to its report below `runs_of`.

    The link is None for a report that has not been written.
    """

    def link(run: str) -> str | None:
        there = runs_of / run / "report.html"
        if not run or os.sep in run or not there.is_file():
            return None
        return Path(os.path.relpath(there, directory)).as_posix()

    return link
