# SPDX-License-Identifier: MIT
"""How the page of a sweep reaches the reports of its runs, which lie in folders beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["link_beside"]


def link_beside(folder: Path, *, runs_of: Path) -> Callable[[str], str | None]:
    """Return how a page in `folder` reaches the report of a run in `runs_of`: None where that has not been written."""

    def link(run: str) -> str | None:
        there = runs_of / run / "report.html"
        if not run or os.sep in run or not there.is_file():
            return None
        return Path(os.path.relpath(there, folder)).as_posix()

    return link
