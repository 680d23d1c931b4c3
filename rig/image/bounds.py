# SPDX-License-Identifier: MIT
"""How many bytes the cache may hold, the runs, and the directories that kernels are built in."""

from __future__ import annotations

import os

from rig.errors import RigError
from rig.units import parse_size

__all__ = ["UNFINISHED_AGE", "branch_bound", "builds_bound", "cache_bound", "cut_to", "runs_bound"]

DEFAULT_BOUND = "8G"
BRANCH_BOUND = "4G"
BUILDS_BOUND = "20G"
"""Ten trees without debug information."""
UNFINISHED_AGE = 24 * 3600.0
"""Host seconds without a write after which what a killed rig left unfinished is removed unasked."""
RUNS_BOUND = "10G"
"""Ten thousand recordings of the usual size."""


def cache_bound() -> int:
    """Return the number of bytes that the cache may hold: RIG_CACHE_SIZE, or the default.

    Branch points are not counted: they have branch_bound().
    Raises RigError where RIG_CACHE_SIZE is not a size.
    """
    return _bound("RIG_CACHE_SIZE", DEFAULT_BOUND)


def branch_bound() -> int:
    """Return the number of bytes that the branch points may take: RIG_BRANCH_SIZE, or the default.

    Each of them is as large as the memory that its guest used.
    Raises RigError where RIG_BRANCH_SIZE is not a size.
    """
    return _bound("RIG_BRANCH_SIZE", BRANCH_BOUND)


def builds_bound() -> int:
    """Return the bytes that kernels' build directories may take, and Buildroot's: RIG_BUILD_SIZE, or the default.

    Raises RigError where RIG_BUILD_SIZE is not a size.
    """
    return _bound("RIG_BUILD_SIZE", BUILDS_BOUND)


def runs_bound() -> int:
    """Return the number of bytes that the runs may take: RIG_RUNS_SIZE, or the default.

    Raises RigError where RIG_RUNS_SIZE is not a size.
    """
    return _bound("RIG_RUNS_SIZE", RUNS_BOUND)


def cut_to(bound: int) -> int:
    """Return the bytes to which what is above its bound is cut: a tenth below it.

    Otherwise every new snapshot, and every run, would read all runs again to see what may go.
    """
    return bound - bound // 10


def _bound(name: str, default: str) -> int:
    try:
        return parse_size(os.environ.get(name, default))
    except ValueError as error:
        raise RigError(str(error), where=name, remedy="set it to a size such as 8G") from None
