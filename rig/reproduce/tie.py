# SPDX-License-Identifier: MIT
"""Give a replica's victim a clear lead over a task with which it was tied in the report."""

from __future__ import annotations

from rig.reproduce.fingerprint import Fingerprint
from rig.run.badness import rss_slack

__all__ = ["victims_lead"]

PAGE = 4096
OLDEST = (0, 0)
"""A report need not say its kernel: the counters of old ones are the least exact."""


def victims_lead(report: Fingerprint, scale: float) -> int:
    """Return the bytes that the replica's victim holds beyond its row; 0 where nobody was tied with it.

    The table is printed after the choice, from counters that err by rss_slack() pages. Within them a replica of the
    exact sizes may choose the other task: with QEMU 10.0.13 and Linux 6.12 it did. A task that was far worse than the
    victim was passed over for a reason that sizes do not show.
    """
    slack = rss_slack(OLDEST, 1)
    victim = next((holder.points for holder in report.ranking if holder.pid == report.victim_pid), None)
    rivals = [holder.points or 0 for holder in report.ranking if holder.pid != report.victim_pid]
    if victim is None or not rivals:
        return 0
    ahead = (victim - max(rivals)) / scale
    if not -slack <= ahead < slack:
        return 0
    return round(slack - ahead) * PAGE
