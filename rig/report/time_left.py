# SPDX-License-Identifier: MIT
"""Estimate when many runs will have ended."""

from __future__ import annotations

__all__ = ["time_left"]


def time_left(done: int, left: int, seconds: float) -> str:
    """Return how long the rest will take when `done` runs took `seconds`; an empty text before the first is done."""
    if not done or not left:
        return ""
    rest = seconds / done * left
    if rest < 90:
        return f", about {max(1, round(rest))} s left"
    return f", about {rest / 60:.0f} min left" if rest < 90 * 60 else f", about {rest / 3600:.1f} h left"
