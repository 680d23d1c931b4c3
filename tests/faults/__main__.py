# SPDX-License-Identifier: MIT
"""Run the campaign and print how many faults each row tried and survived: python -m tests.faults [--part] [WORD…]."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

from tests.faults.home import Home, home
from tests.faults.table import ROWS, Row


def tried_cases(row: Row, home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Yield the cases of a row. An exception of the row itself counts as a fault that was not survived."""
    try:
        yield from row.cases(home, count)
    except Exception as error:
        yield "the row itself", f"{type(error).__name__}: {error}"


def main(words: list[str]) -> int:
    """Run the rows whose names hold one of the words, or all. Return 1 if a fault was not survived."""
    part, only = "--part" in words, [word for word in words if not word.startswith("-")]
    print(f"{'tried':>6} {'survived':>8} {'seconds':>8}  fault")
    lost = 0
    for row in ROWS:
        if only and not any(word in row.name for word in only):
            continue
        began = time.monotonic()
        wrong: list[str] = []
        tried = 0
        with home() as each:
            for name, problem in tried_cases(row, each, row.part if part else row.whole):
                tried += 1
                if problem:
                    wrong.append(f"{name}: {problem}")
                    print(f"    {wrong[-1]}", file=sys.stderr, flush=True)
        lost += len(wrong)
        took = time.monotonic() - began
        print(f"{tried:>6} {tried - len(wrong):>8} {took:>8.0f}  {row.name}", flush=True)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
