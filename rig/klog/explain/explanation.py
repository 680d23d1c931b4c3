# SPDX-License-Identifier: MIT
"""An explanation: sentences, each with the lines of the log that prove it."""

from __future__ import annotations

from dataclasses import dataclass

from rig.klog.kinds import Kind

__all__ = ["Bar", "Check", "Explanation", "Picture", "Remedy", "Section", "Sentence"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an explanation.

    lines: the numbers of the input's lines that prove it; empty for general knowledge.
    """

    text: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    sentences: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Remedy:
    """A change that would have prevented the event.

    what: the change.
    cost: its disadvantage.
    name: the remedy's row in the table of explain/remedy_table.py.
    measured: what it did in a replica of this kind of failure; empty where none was run.
    """

    what: str
    cost: str
    name: str = ""
    measured: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A comparison of figures that the log holds twice.

    ok: whether they agree; None where the log lacks one of them.
    """

    name: str
    ok: bool | None
    detail: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a picture.

    marks: (name, kB) of positions on the bar's scale, such as watermarks.
    parts: (name, kB) of what is different from the rest of the bar, at its end: what is in swap of a task's memory, or
        what a zone holds back of its free memory. value_kb includes them.
    """

    label: str
    value_kb: int
    marks: tuple[tuple[str, int], ...] = ()
    lines: tuple[int, ...] = ()
    parts: tuple[tuple[str, int], ...] = ()

    def whole(self, picture: Picture) -> int:
        """Return the value of a bar of full width, in kB. A bar with marks is scaled by them: zones differ greatly."""
        if self.marks:
            return max(self.value_kb, *(kb for _name, kb in self.marks))
        return picture.whole_kb or max(bar.value_kb for bar in picture.bars)


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars on one scale.

    whole_kb: the value of a bar of full width; None: that of the largest bar.
    """

    title: str
    bars: tuple[Bar, ...]
    whole_kb: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of one event.

    number, kind, title: those of the event.
    summary: a few sentences that can be read on their own.
    limits: what the log cannot show.
    cause: the name of the cause of a memory shortage (explain/causes.py), otherwise empty.
    certainty: `certain`, `likely` or `unsure`; empty without a cause.
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
