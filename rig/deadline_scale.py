# SPDX-License-Identifier: MIT
"""The factor on the deadlines of host programs: --timeout-scale of the command, or RIG_TIMEOUT_SCALE.

A guest's deadlines get theirs through the request. Host programs are started everywhere, many by commands without that
option, such as `rig image build`; the guests of pytest and of `rig doctor` have no such option either.
"""

from __future__ import annotations

import os

from rig.errors import UsageError

__all__ = ["LARGEST_FACTOR", "SCALE_VARIABLE", "SMALLEST_FACTOR", "deadline_scale", "scaled", "set_deadline_scale"]

SCALE_VARIABLE = "RIG_TIMEOUT_SCALE"
SMALLEST_FACTOR, LARGEST_FACTOR = 0.1, 100

_chosen: float | None = None


def set_deadline_scale(factor: float | None) -> None:
    """Use a factor in place of that of the environment; None: that of the environment again."""
    global _chosen
    _chosen = factor


def scaled(seconds: float) -> float:
    """Return a deadline in host seconds, multiplied. Raises UsageError where RIG_TIMEOUT_SCALE is not a factor."""
    return seconds * deadline_scale()


def deadline_scale() -> float:
    """Return the factor. Raises UsageError where RIG_TIMEOUT_SCALE is not a factor."""
    if _chosen is not None:
        return _chosen
    text = os.environ.get(SCALE_VARIABLE, "") or "1"
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not SMALLEST_FACTOR <= factor <= LARGEST_FACTOR:
        raise UsageError(
            f"'{text}' is not a factor from {SMALLEST_FACTOR:g} to {LARGEST_FACTOR:g}",
            where=SCALE_VARIABLE,
            remedy="write it as in 3",
        )
    return factor
