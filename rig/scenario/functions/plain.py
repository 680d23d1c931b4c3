# SPDX-License-Identifier: MIT
"""Functions of expressions that need no run: those of Python that are offered, and a few over texts and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rig.scenario.declare import builtin, function
from rig.scenario.views import MissingRecord

__all__ = ["LONGEST_RANGE"]

LONGEST_RANGE = 10_000

for _python in (min, max, abs, len, any, all, sum, sorted, round, set, int):
    builtin(_python.__name__, _python)


@function("value", "number('parent returned 83') == 83")
def number(text: str) -> int:
    """the last whole number in a text: 83 in `parent returned 83`"""
    found = numbers(text)
    if not found:
        raise MissingRecord(f"there is no number in '{text}'")
    return found[-1]


@function("value", "len(numbers('1 of 22')) == 2")
def numbers(text: str) -> tuple[int, ...]:
    """all of them, in order"""
    return tuple(int(found) for found in re.findall(r"-?\d{1,18}", str(text)))


@function("value", "median([4, 1, 3, 2]) == 2")
def median(values: Iterable[Any]) -> Any:
    """the middle value; the lower of the two in the middle of an even count, so that it is one of the values"""
    ordered = sorted(values)
    if not ordered:
        raise MissingRecord("there is no median of nothing")
    return ordered[(len(ordered) - 1) // 2]


@function("value", "sum(range(1, 4)) == 6", word="range")
def bounded_range(*bounds: int) -> tuple[int, ...]:
    """as in Python, at most 10,000 numbers"""
    wanted = range(*bounds)
    if len(wanted) > LONGEST_RANGE:
        raise MissingRecord(f"a range of {len(wanted)} numbers is too long")
    return tuple(wanted)
