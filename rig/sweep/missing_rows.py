# SPDX-License-Identifier: MIT
"""Say which runs of a sweep or a threshold search its journal lacks, before its results are shown."""

from __future__ import annotations

import logging

from rig.errors import RigError
from rig.sweep.directory import SweepDirectory
from rig.sweep.frontier.document import read_frontier

__all__ = ["expected_rows", "warn_of_missing_rows"]

logger = logging.getLogger(__name__)


def expected_rows(sweep: SweepDirectory) -> int:
    """Return how many rows the journal of a finished sweep has.

    A search runs some points of its plan alone: frontier.json has their number.
    Raises RigError where frontier.json cannot be read.
    """
    if not sweep.is_search:
        return sweep.plan.size
    return sum(len(point.verdicts) for curve in read_frontier(sweep.path).curves for point in curve.points)


def warn_of_missing_rows(sweep: SweepDirectory, rows: int) -> None:
    """Log that a journal has fewer rows than there were runs, or that this is not known. rows: those that were read."""
    try:
        expected = expected_rows(sweep)
    except RigError as error:
        logger.warning("%s; what thresholds were found, and whether runs are missing, is not known", error)
        return
    if rows >= expected:
        return
    if sweep.is_search:
        logger.warning("sweep %s: %d of the %d runs of its search are here", sweep.id, rows, expected)
    else:
        logger.warning(
            "sweep %s: %d of its %d runs are here; `rig sweep --resume %s` does the others",
            sweep.id, rows, expected, sweep.id,
        )  # fmt: skip
