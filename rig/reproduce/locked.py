# SPDX-License-Identifier: MIT
"""Whose the locked pages of a report are: a task's RSS has them, and the list of anonymous pages has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rig.reproduce.fingerprint import Fingerprint
from rig.reproduce.replica import Actor

__all__ = ["locked_by_tasks_kb", "with_locked"]

LEAST = 64 << 10
"""Bytes of plain memory that an actor keeps."""


def locked_by_tasks_kb(report: Fingerprint, claimed_kb: int) -> int:
    """Return how much of what the tasks claim as anonymous is locked. mlock(2) takes a page off the anonymous list.

    claimed_kb: anonymous memory of all tasks by their rows, which count no page twice.
    """
    present = report.kinds.get("anonymous")
    if present is None:
        return 0
    return min(max(claimed_kb - present, 0), report.kinds.get("unevictable", 0))


def with_locked(actors: Sequence[Actor], size: int, growth: int) -> list[Actor]:
    """Let the largest actors hold so many bytes of what they hold as locked memory.

    growth: bytes that the trigger will take, which stay plain.
    """
    left, found = size, {}
    for actor in sorted(actors, key=lambda actor: -actor.sizes.get("anon", 0)):
        part = min(left, max(actor.sizes.get("anon", 0) - max(growth, LEAST), 0))
        if part:
            sizes = {**actor.sizes, "anon": actor.sizes["anon"] - part, "locked": part}
            found[actor.name] = replace(actor, sizes=sizes)
            left -= part
    return [found.get(actor.name, actor) for actor in actors]
