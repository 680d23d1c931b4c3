# SPDX-License-Identifier: MIT
"""Suggest known names that are similar to an unknown one, as the remedy of an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean"]


def did_you_mean(name: str, known: Iterable[str], *, kind: str = "it") -> str:
    """Return `did you mean 'every'?`, or the list of all known names when none is similar.

    kind: what the names are, for the message when there are none.
    """
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=2, cutoff=0.6)
    if near:
        return "did you mean " + " or ".join(f"'{word}'" for word in near) + "?"
    if not names:
        return f"there is no {kind} to choose from"
    return "choose one of " + ", ".join(names)
