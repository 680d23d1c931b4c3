# SPDX-License-Identifier: MIT
"""Say which runs of a sweep or a threshold search its journal lacks, before its results are shown."""

from __future__ import annotations

import logging

from rig.errors import RigError
from rig.sweep.directory import SweepDirectory
from rig.sweep.frontier.document import FRONTIER, read_frontier

__all__ = ["warn_of_missing_rows"]

logger = logging.getLogger(__name__)


def warn_of_missing_rows(sweep: SweepDirectory, rows: int) -> None:
    """Log that a journal has fewer rows than there were runs.

    rows: the rows that were read.
    A search runs some points of its plan alone: frontier.json has their number, and is named where it cannot be read.
    """
    path = sweep.path / FRONTIER
    if not sweep.searched and not path.exists():
        if rows < sweep.plan.size:
            logger.warning(
                "sweep %s: %d of its %d runs are here; `rig sweep --resume %s` does the others",
                sweep.id, rows, sweep.plan.size, sweep.id,
            )  # fmt: skip
        return
    try:
        frontier = read_frontier(sweep.path)
    except RigError as error:
        logger.warning("%s; what thresholds were found, and whether runs are missing, is not known", error)
        return
    ran = sum(len(point.verdicts) for curve in frontier.curves for point in curve.points)
    if rows < ran:
        logger.warning("sweep %s: %d of the %d runs of its search are here", sweep.id, rows, ran)
