# SPDX-License-Identifier: MIT
"""Predict the verdict of overcommit-oops at a point, by the kernel's arithmetic.

The scenario has a parent that forks, a hog that takes memory, and a child that writes. The prediction compares the
memory that they request with the numbers that a guest reported at another point:

- Commit charge (__vm_enough_memory(), mm/util.c). vm.overcommit_memory=0 refuses a single request above RAM plus swap.
  vm.overcommit_memory=2 refuses a request that would raise Committed_AS above CommitLimit, less 1/32 of the memory that
  the requesting process has mapped already. CommitLimit is overcommit_kbytes, or overcommit_ratio percent of RAM, plus
  swap (vm_commit_limit(), mm/util.c). The requests are the parent's array, its copy at fork, and the hog's blocks.
- Memory. `left` is the memory that the kernel can still allocate when the child begins to write
  (rig/scenario/functions/arithmetic.py). Each byte that a process takes lowers it by a byte and by 1/512 byte of page
  tables. Each page added to the guest raises it by a page less 64 bytes (struct page).

The child runs out of memory if less is left than it has to copy. It completes no step if less than a step is left, and
does not start to write if nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

__all__ = ["AXES", "Asked", "Foreseen", "Measured", "edges_between", "foresee"]

# x86-64: a page table of 4096 bytes has 512 entries, each for a page; struct page takes 64 bytes.
PER_PAGE_TABLE = 512
STRUCT_PAGE = Fraction(64, 4096)
# __vm_enough_memory(), mm/util.c: min(mm->total_vm / 32, vm.user_reserve_kbytes) is kept for other processes.
RESERVE = 32


@dataclass(frozen=True)
class Asked:
    """The requests of a point. Sizes are in bytes.

    mode, ratio, kbytes: vm.overcommit_memory, vm.overcommit_ratio (percent) and vm.overcommit_kbytes (KiB).
    min_free: vm.min_free_kbytes (KiB); None for the kernel's own choice.
    """

    parent: Fraction
    hog: Fraction
    step: Fraction
    memory: Fraction
    swap: Fraction
    mode: Fraction = Fraction(0)
    ratio: Fraction = Fraction(50)
    kbytes: Fraction = Fraction(0)
    min_free: Fraction | None = None

    @property
    def taken(self) -> Fraction:
        """Bytes of memory in use when the child begins to write, page tables included (those of the parent twice)."""
        return self.parent * (1 + Fraction(2, PER_PAGE_TABLE)) + self.hog * (1 + Fraction(1, PER_PAGE_TABLE))


AXES = {
    "parent": "parent", "hog": "hog", "step": "step", "memory": "memory", "swap": "swap",
    "vm.overcommit_memory": "mode", "vm.overcommit_ratio": "ratio", "vm.overcommit_kbytes": "kbytes",
    "vm.min_free_kbytes": "min_free",
}  # fmt: skip
"""Setting -> field of Asked, for the settings that the arithmetic knows."""


@dataclass(frozen=True)
class Measured:
    """The numbers that a guest reported, in bytes, and the requests that it ran with.

    judged: whether a claim was judged on `left`; otherwise `left` is an estimate from the first sample.
    """

    asked: Asked
    total: Fraction
    committed: Fraction
    left: Fraction
    judged: bool


@dataclass(frozen=True)
class Foreseen:
    """A predicted change of verdict along an axis.

    below, above: the verdicts on either side.
    value: the position, in the unit of the axis.
    """

    below: str
    above: str
    value: Fraction


def foresee(asked: Asked, known: Measured) -> str:
    """Return the verdict predicted for `asked`, from the numbers of a guest that ran at another point."""
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
    """Return the verdict if the kernel refuses an allocation or the fork, else None.

    A parent or hog that is smaller than intended makes the run invalid; a fork that fails makes the claim fail.
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
    """Yield the changes of `verdict` between low and high, lowest first, to a millionth of the range.

    verdict: called some hundred times, so it must be cheap.
    scan: number of intervals; a change and its reversal within one interval are not found.
    """
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
    """Return the requests with another value on the axis `field`."""
    return replace(asked, **{field: value})
