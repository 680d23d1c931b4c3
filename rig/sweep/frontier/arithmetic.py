# SPDX-License-Identifier: MIT
"""The kernel's arithmetic of a parent that forks, a hog, and a child that writes: which verdict it foresees at a point.

What is asked for is set against what the guest's own numbers say there is:

- Commit charge (mm/util.c, __vm_enough_memory()). Mode 0 refuses a single request above RAM and swap. Mode 2 refuses
  what would bring Committed_AS above CommitLimit (vm_commit_limit(): overcommit_kbytes, or overcommit_ratio percent of
  RAM, and swap), less a 32nd of what the asking process has mapped already, which is kept for others. Asked for are the
  parent's array, the same again by fork, and the hog's blocks.
- Memory. `left` is what the kernel can still hand out when the child begins to write (rig/scenario/evidence.py). A
  byte that another process takes is a byte less, and a 512th of it more for page tables; a page of RAM more is 64 bytes
  less than that (struct page). The child runs dry when less is left than it has to copy, completes no step when less
  than one is left, and does not come to begin when nothing is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

__all__ = ["AXES", "Asked", "Foreseen", "Measured", "edges_between", "foresee"]

PER_PAGE_TABLE = 512
STRUCT_PAGE = Fraction(64, 4096)
RESERVE = 32


@dataclass(frozen=True)
class Asked:
    """What a point asks for. Sizes in bytes; mode, ratio, kbytes and min_free are the sysctls of vm."""

    parent: Fraction
    hog: Fraction
    step: Fraction
    memory: Fraction
    swap: Fraction
    mode: Fraction = Fraction(0)
    ratio: Fraction = Fraction(50)
    kbytes: Fraction = Fraction(0)
    min_free: Fraction | None = None
    """Kibibytes; None: the kernel's own choice."""

    @property
    def taken(self) -> Fraction:
        """Bytes of memory that are in use when the child begins to write, page tables included."""
        return self.parent * (1 + Fraction(2, PER_PAGE_TABLE)) + self.hog * (1 + Fraction(1, PER_PAGE_TABLE))


AXES = {
    "parent": "parent", "hog": "hog", "step": "step", "memory": "memory", "swap": "swap",
    "vm.overcommit_memory": "mode", "vm.overcommit_ratio": "ratio", "vm.overcommit_kbytes": "kbytes",
    "vm.min_free_kbytes": "min_free",
}  # fmt: skip
"""Settings that the arithmetic knows, and their fields of Asked."""


@dataclass(frozen=True)
class Measured:
    """A guest's own numbers, bytes, and what it was asked for. judged: `left` is what a claim was judged on."""

    asked: Asked
    total: Fraction
    committed: Fraction
    left: Fraction
    judged: bool


@dataclass(frozen=True)
class Foreseen:
    """A change of verdict along an axis, at a value in the axis's unit."""

    below: str
    above: str
    value: Fraction


def foresee(asked: Asked, known: Measured) -> str:
    """Return the verdict that the arithmetic foresees, from the numbers of a guest that was asked for another point."""
    total = known.total + (asked.memory - known.asked.memory) * (1 - STRUCT_PAGE)
    refused = _refused(asked, total, known.committed)
    if refused is not None:
        return refused
    left = known.left + (total - known.total) + (asked.swap - known.asked.swap) - (asked.taken - known.asked.taken)
    if asked.min_free is not None and known.asked.min_free is not None:
        left -= (asked.min_free - known.asked.min_free) * 1024
    if left <= 0:
        return "invalid"
    return "reproduced" if asked.step <= left < asked.parent else "not-reproduced"


def _refused(asked: Asked, total: Fraction, committed: Fraction) -> str | None:
    """The verdict where a promise is refused: a parent or a hog that is not as large as it should be makes a run
    invalid, a fork that fails makes the claim fail.
    """
    if asked.mode == 0 and asked.parent > total + asked.swap:
        return "invalid"
    if asked.mode != 2:
        return None
    limit = (asked.kbytes * 1024 if asked.kbytes else total * asked.ratio / 100) + asked.swap
    for more, mapped, verdict in (
        (asked.parent, Fraction(0), "invalid"),
        (asked.parent, asked.parent, "not-reproduced"),
        (asked.hog, asked.hog, "invalid"),
    ):
        committed += more
        if committed + mapped / RESERVE > limit:
            return verdict
    return None


def edges_between(
    low: Fraction, high: Fraction, verdict: Callable[[Fraction], str], *, scan: int = 256
) -> Iterator[Foreseen]:
    """Yield the changes of a verdict that is cheap to ask for, lowest first, to a millionth of the range."""
    places = [low + (high - low) * index / scan for index in range(scan + 1)]
    verdicts = [verdict(place) for place in places]
    for index in range(scan):
        if verdicts[index] != verdicts[index + 1]:
            yield from _narrowed(places[index], places[index + 1], verdict, (high - low) / 10**6)


def _narrowed(
    low: Fraction, high: Fraction, verdict: Callable[[Fraction], str], precision: Fraction
) -> Iterator[Foreseen]:
    below, above = verdict(low), verdict(high)
    if below == above:
        return
    if high - low <= precision:
        yield Foreseen(below, above, (low + high) / 2)
        return
    middle = (low + high) / 2
    yield from _narrowed(low, middle, verdict, precision)
    yield from _narrowed(middle, high, verdict, precision)


def at_value(asked: Asked, field: str, value: Fraction) -> Asked:
    """Return the point with another value on the axis."""
    return replace(asked, **{field: value})
