# SPDX-License-Identifier: MIT
"""Compare the past of a branch point with that of the run that is branched."""

from __future__ import annotations

from rig.branch.origin import Source
from rig.machine.branch_point import BranchPoint

__all__ = ["past_differs"]


def past_differs(source: Source, point: BranchPoint) -> str:
    """Return how console and records until the point differ from the run's; empty if they are the same to the byte.

    The last record of the point, `stop`, is not one of the run's.
    """
    if source.directory is None:
        return ""
    events = point.events.read_bytes()
    past = {
        "console.log": point.console.read_bytes(),
        "events.jsonl": events[: events.rstrip(b"\n").rfind(b"\n") + 1],
    }
    for name, expected in past.items():
        with (source.directory / name).open("rb") as file:
            found = file.read(len(expected))
        if found != expected:
            at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
            return f"{name} differs in line {expected[:at].count(10) + 1}"
    return ""
