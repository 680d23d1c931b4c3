# SPDX-License-Identifier: MIT
"""Names that were probably meant: the remedy of every unknown name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str], *, kind: str = "it") -> str:
    """Return `did you mean 'every'?`, or the list of what there is when nothing is near."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{word}'" for word in near) + "?"
    if not names:
        return f"there is no {kind} to choose from"
    return "choose one of " + ", ".join(names)
