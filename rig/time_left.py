# SPDX-License-Identifier: MIT
"""Estimate when long work will have ended: many runs, a build, an archive."""

from __future__ import annotations

__all__ = ["time_left"]


def time_left(done: int, left: int, seconds: float) -> str:
    """Return how long the rest will take, as text that follows a count; empty before the first part is done.

    done, left: parts of the work, all alike: runs, files, bytes.
    seconds: how long the parts took that are done.
    """
    if not done or not left:
        return ""
    rest = seconds / done * left
    if rest < 90:
        return f", about {max(1, round(rest))} s left"
    return f", about {rest / 60:.0f} min left" if rest < 90 * 60 else f", about {rest / 3600:.1f} h left"
