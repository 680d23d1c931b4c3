# SPDX-License-Identifier: MIT
"""Keywords: a line that starts an event contains at least one. Few and short keywords make the search fast."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shortest"]


def shortest(keywords: Iterable[str]) -> tuple[str, ...]:
    """Return the keywords without those that contain another keyword: a search for the shorter one finds both."""
    every = set(keywords)
    return tuple(sorted(word for word in every if not any(other != word and other in word for other in every)))
