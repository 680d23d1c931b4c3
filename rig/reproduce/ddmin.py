# SPDX-License-Identifier: MIT
"""Delta debugging: find the parts of a whole without which a property is lost (ddmin of Zeller and Hildebrandt, 2002).

The library for it, picire, had its last release in 2021 and calls its test from processes of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

__all__ = ["minimise"]

T = TypeVar("T")


async def minimise(parts: Sequence[T], holds: Callable[[tuple[T, ...]], Awaitable[bool | None]]) -> tuple[T, ...]:
    """Return parts that have the property together, of which none can be left out.

    parts: have the property together.
    holds: whether parts have the property; None ends the search, and the smallest that was found is returned.
    """
    kept = tuple(parts)
    known: dict[tuple[T, ...], bool] = {}
    pieces = 1
    while kept:
        size = -(-len(kept) // pieces)
        smaller = None
        for start in range(0, len(kept), size):
            rest = kept[:start] + kept[start + size :]
            if rest not in known:
                answer = await holds(rest)
                if answer is None:
                    return kept
                known[rest] = answer
            if known[rest]:
                smaller = rest
                break
        if smaller is not None:
            kept, pieces = smaller, max(pieces - 1, 1)
        elif size == 1:
            break
        else:
            pieces = min(2 * pieces, len(kept))
    return kept
