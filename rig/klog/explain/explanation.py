# SPDX-License-Identifier: MIT
"""An explanation: sentences, each with the lines of the log that prove it."""

from __future__ import annotations

from dataclasses import dataclass

from rig.klog.kinds import Kind

__all__ = ["Bar", "Check", "Explanation", "Picture", "Remedy", "Section", "Sentence"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """lines: numbers in the input that prove the text; none where it is general knowledge."""

    text: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would have changed it, and what that costs. name: the remedy's row in the table (explain/remedies.py)."""

    what: str
    cost: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A figure that the log holds twice, compared. ok None: the log does not hold what it takes."""

    name: str
    ok: bool | None
    detail: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a picture. marks: named positions on the same scale, as watermarks; kB."""

    label: str
    value_kb: int
    marks: tuple[tuple[str, int], ...] = ()
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars on one scale. whole_kb: what full width stands for; None: the largest bar."""

    title: str
    bars: tuple[Bar, ...]
    whole_kb: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """summary: one or two sentences that can stand alone.

    cause: the name of what the first sentence says, the same for the same cause (explain/causes.py); certainty: how
    sure it is, `certain`, `likely` or `unsure`. Both are empty for events that are no shortage of memory.
    """

    number: int
    kind: Kind
    title: str
    summary: tuple[Sentence, ...]
    sections: tuple[Section, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    checks: tuple[Check, ...] = ()
    pictures: tuple[Picture, ...] = ()
    limits: tuple[str, ...] = ()
    cause: str = ""
    certainty: str = ""
