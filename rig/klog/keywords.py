# SPDX-License-Identifier: MIT
"""Literals that a line must hold to begin an event: few and short, so that a search for them is fast."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shortest"]


def shortest(keywords: Iterable[str]) -> tuple[str, ...]:
    """Return the keywords without those that hold another one: whoever finds that one finds them too."""
    every = set(keywords)
    return tuple(sorted(word for word in every if not any(other != word and other in word for other in every)))
