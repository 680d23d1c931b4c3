# SPDX-License-Identifier: MIT
"""Find the line of a key in scenario.toml, for error messages.

tomllib does not report positions, so headers and keys are matched in the text with regular expressions.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["line_of"]

HEADER = re.compile(r"\s*\[{1,2}\s*(?P<name>[^\[\]]+?)\s*\]")
KEY = re.compile(r"\s*\"?(?P<name>[\w-]+)\"?(?:\s*\.[^=]*)?\s*=")
STEP = re.compile(r"\s*\{\s*do\s*=")
STEPS = "plan.steps"


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Return the line number (from 1) of a key, or None when it is not found.

    path: a location as in pydantic's errors: ("parameters", "step", "min"), ("claims", 2, "expr") or
    ("plan", "steps", 4, "arg").
    If the key itself is absent, the line of the table's header is returned.
    """
    lines = _read(text)
    if len(path) >= 3 and list(path[:2]) == ["plan", "steps"] and isinstance(path[2], int):
        if path[2] < len(lines.steps):
            return lines.steps[path[2]]
        return lines.key(lines.header(STEPS, path[2]), path[3:4])
    if len(path) >= 2 and isinstance(path[1], int):
        return lines.key(lines.header(str(path[0]), path[1]), path[2:])
    if len(path) >= 2:
        found = lines.header(f"{path[0]}.{path[1]}", 0)
        return lines.key(found, path[2:]) if found else lines.key(lines.header(str(path[0]), 0), path[1:])
    return lines.key(0, path)


class _Lines:
    """An index of a file's headers, keys and one-line steps; a scenario looks up thousands of paths in it."""

    def __init__(self, text: str) -> None:
        self.headers: dict[str, list[int]] = {}
        self.starts: list[int] = []
        self.keys: dict[str, list[int]] = {}
        self.steps: list[int] = []
        for number, line in enumerate(text.splitlines(), 1):
            if found := HEADER.match(line):
                name = re.sub(r"\s*\.\s*", ".", found["name"].replace('"', ""))
                self.headers.setdefault(name, []).append(number)
                self.starts.append(number)
            elif found := KEY.match(line):
                self.keys.setdefault(found["name"], []).append(number)
            elif STEP.match(line):
                self.steps.append(number)

    def header(self, name: str, index: int) -> int | None:
        numbers = self.headers.get(name, [])
        return numbers[index] if index < len(numbers) else None

    def key(self, header: int | None, rest: Sequence[str | int]) -> int | None:
        """Return the line of a key below the header at line `header` (0: top of the file), or the header's own line."""
        if header is None or not rest:
            return header
        numbers = self.keys.get(str(rest[0]), [])
        at, end = bisect_right(numbers, header), bisect_right(self.starts, header)
        if at < len(numbers) and (end == len(self.starts) or numbers[at] < self.starts[end]):
            return numbers[at]
        return header or None


@lru_cache(maxsize=4)
def _read(text: str) -> _Lines:
    return _Lines(text)
