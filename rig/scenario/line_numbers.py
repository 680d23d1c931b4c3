# SPDX-License-Identifier: MIT
"""Where in scenario.toml a thing stands: a line number for messages, found by reading, not by parsing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["line_of"]


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Return the line (from 1) where `path` (as pydantic locates it) begins, or None when it is not found.

    ("parameters", "step", "min"), ("claims", 2, "expr") and ("plan", "steps", 4, "arg") are such paths. The
    nearest line that is found counts: the claim's header when its key is not there.
    """
    lines = text.splitlines()
    if len(path) >= 3 and list(path[:2]) == ["plan", "steps"] and isinstance(path[2], int):
        return _nth(lines, r"\s*\{\s*do\s*=", path[2])
    found: int | None = None
    if len(path) >= 2 and isinstance(path[1], int):
        found, rest = _nth(lines, rf"\s*\[\[\s*{re.escape(str(path[0]))}\s*\]\]", path[1]), path[2:]
    elif len(path) >= 2 and isinstance(path[0], str):
        found, rest = (
            _nth(lines, rf"\s*\[\s*{re.escape(path[0])}\s*\.\s*\"?{re.escape(str(path[1]))}\"?\s*\]", 0),
            path[2:],
        )
        if found is None:
            found, rest = _nth(lines, rf"\s*\[\s*{re.escape(path[0])}\s*\]", 0), path[1:]
    else:
        rest = path
    if not rest:
        return found
    start = found or 0
    for number, line in enumerate(lines[start:], start + 1):
        if found is not None and re.match(r"\s*\[", line):
            break
        if re.match(rf"\s*\"?{re.escape(str(rest[0]))}\"?\s*=", line):
            return number
    return found


@lru_cache(maxsize=256)
def _numbers(lines: tuple[str, ...], pattern: str) -> tuple[int, ...]:
    # A scenario's every expression asks for its place when it is read: the same few patterns, again and again.
    matches = re.compile(pattern).match
    return tuple(number for number, line in enumerate(lines, 1) if matches(line))


def _nth(lines: Sequence[str], pattern: str, index: int) -> int | None:
    numbers = _numbers(tuple(lines), pattern)
    return numbers[index] if index < len(numbers) else None
