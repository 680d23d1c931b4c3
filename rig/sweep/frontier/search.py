# SPDX-License-Identifier: MIT
"""Find where the verdict changes along one axis: a coarse scan, bisection of every change, then repeated runs.

The verdict of a value comes from a function, so that the search can be tested without guests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rig.finishing import gathered

__all__ = ["Edge", "Found", "find_edges"]

Judge = Callable[[int, int], Coroutine[Any, Any, str]]
"""(step, repeat) -> verdict. Steps are whole multiples of the resolution above the range's low end."""


@dataclass(frozen=True)
class Edge:
    """A change of verdict between two neighbouring steps.

    low, high: the two steps.
    below, above: their verdicts, each that of most of its runs.
    noisy: whether a run on either side had another verdict than most.
    runs_below, runs_above: verdicts of the single runs.
    """

    low: int
    high: int
    below: str
    above: str
    noisy: bool = False
    runs_below: tuple[str, ...] = ()
    runs_above: tuple[str, ...] = ()


@dataclass
class Found:
    """State of a search: step -> verdicts of its runs in the order of their end, and the edges."""

    seen: dict[int, list[str]] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()

    def verdict(self, step: int) -> str:
        """Return the step's most frequent verdict; of equally frequent ones the first."""
        return Counter(self.seen[step]).most_common(1)[0][0]


async def find_edges(judge: Judge, steps: int, *, scan: int = 9, repeat: int = 3) -> Found:
    """Search the steps 0 to `steps` and return the edges that were found.

    scan: number of evenly spaced steps to run first. A range of another verdict that is narrower than
      steps / (scan - 1) may lie between two of them and is then missed.
    repeat: number of runs on each side of an edge.
    A bisection that meets a third verdict continues on both sides of it.
    """
    found = Found()
    count = min(max(scan, 2), steps + 1)
    places = sorted({round(index * steps / (count - 1)) for index in range(count)}) if steps else [0]

    async def look(step: int) -> str:
        if step not in found.seen:
            found.seen[step] = [await judge(step, 0)]
        return found.seen[step][0]

    await gathered(look(step) for step in places)
    changes = [(a, b) for a, b in pairwise(places) if found.seen[a][0] != found.seen[b][0]]
    narrowed = await gathered(_narrow(look, found, a, b) for a, b in changes)
    edges = [await _look_again(judge, found, a, b, repeat) for pairs in narrowed for a, b in pairs]
    found.edges = tuple(edge for edge in edges if edge is not None)
    return found


async def _narrow(
    look: Callable[[int], Coroutine[Any, Any, str]], found: Found, low: int, high: int
) -> list[tuple[int, int]]:
    """Bisect between low and high; return the pairs of neighbouring steps whose verdicts differ."""
    if high - low <= 1:
        return [(low, high)]
    middle = (low + high) // 2
    verdict = await look(middle)
    pairs = []
    if verdict != found.seen[low][0]:
        pairs += await _narrow(look, found, low, middle)
    if verdict != found.seen[high][0]:
        pairs += await _narrow(look, found, middle, high)
    return pairs


async def _look_again(judge: Judge, found: Found, low: int, high: int, repeat: int) -> Edge | None:
    """Repeat the runs on both sides of an edge, and return the edge or None.

    If a run was an outlier, most runs on both sides agree: move step by step, at most eight, to where they change.
    """
    below, _above = found.seen[low][0], found.seen[high][0]
    for _ in range(8):
        await _fill(judge, found, low, repeat)
        await _fill(judge, found, high, repeat)
        at_low, at_high = found.verdict(low), found.verdict(high)
        if at_low != at_high:
            break
        # Both sides have the same verdict, so the side whose first run differed was the outlier: move past it.
        if at_low == below:
            low, high = high, high + 1
        else:
            low, high = low - 1, low
        if low < 0 or (high not in found.seen and high > max(found.seen)):
            return None
    else:
        return None
    noisy = len(set(found.seen[low])) > 1 or len(set(found.seen[high])) > 1
    return Edge(
        low, high, found.verdict(low), found.verdict(high), noisy, tuple(found.seen[low]), tuple(found.seen[high])
    )


async def _fill(judge: Judge, found: Found, step: int, repeat: int) -> None:
    runs = found.seen.setdefault(step, [])
    missing = range(len(runs), repeat)
    runs += await gathered(judge(step, number) for number in missing)
