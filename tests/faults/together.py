# SPDX-License-Identifier: MIT
"""Rigs at once that find nothing built."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.home import Home, remove
from tests.faults.signals import QUICK, branched

__all__ = ["eight", "one_branch_point"]


def eight(home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Start eight runs on a cache without image, programs and snapshots: each has its verdict. None for a count of 0."""
    if not count:
        return
    for kind in ("rootfs", "initramfs", "toolchain", "refs", "snapshot"):
        remove(home.cache / kind)
    processes = [home.begin("run", *QUICK, "--quiet", "--timeout-scale", "5") for _ in range(8)]
    called = [home.end(process, 600) for process in processes]
    left = home.left()
    for number, each in enumerate(called):
        problem = each.broken((0,))
        yield f"rig {number}", problem or left
    made = len(list((home.cache / "snapshot").iterdir()))
    yield "snapshots made", "" if made == 1 else f"{made}"


def one_branch_point(home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Start two rigs that want one branch point, which is not there: one saves it, both have their futures."""
    words = branched(home)
    for number in range(count):
        remove(home.cache / "branch")
        called = [home.end(process) for process in [home.begin(*words) for _ in range(2)]]
        made = len(list((home.cache / "branch").iterdir()))
        problems = [each.broken((called[0].status or 0,)) for each in called]
        yield f"time {number}", next(filter(None, problems), "") or ("" if made == 1 else f"{made} were made")
