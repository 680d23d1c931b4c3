# SPDX-License-Identifier: MIT
"""A cause of a memory shortage: its name, how certain it is, and a sentence with its figures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rig.klog.explain.explanation import Sentence

__all__ = ["Cause", "Certainty", "found"]


class Certainty(StrEnum):
    """How certain a cause is.

    CERTAIN: the figures prove it.
    LIKELY: the figures agree with it.
    UNSURE: the report holds too few figures.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why memory ran out.

    name: a stable identifier, the same for the same cause.
    certainty: how far the figures prove it.
    sentence: what happened, with the figures and the lines that prove them.
    """

    name: str
    certainty: Certainty
    sentence: Sentence


def found(name: str, certainty: Certainty, text: str, *lines: int) -> Cause:
    """Return a cause whose sentence rests on these lines."""
    return Cause(name, certainty, Sentence(text, lines))
