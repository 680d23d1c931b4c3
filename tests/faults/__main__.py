# SPDX-License-Identifier: MIT
"""Run the campaign and print how many faults each row tried and survived: python -m tests.faults [OPTIONS] [WORD…].

--part tries a part of each row. --kept FILE continues a campaign: rows whose results are in the file are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.faults.home import Home, home
from tests.faults.table import ROWS, Row


@dataclass(frozen=True)
class Result:
    """What a row showed. wrong: the cases that were not survived, each with its problem."""

    name: str
    tried: int
    seconds: float
    wrong: list[str]

    def __str__(self) -> str:
        return f"{self.tried:>6} {max(self.tried - len(self.wrong), 0):>8} {self.seconds:>8.0f}  {self.name}"


def tried_cases(row: Row, home: Home, count: int) -> Iterator[tuple[str, str]]:
    """Yield the cases of a row. An exception of the row itself counts as a fault that was not survived."""
    try:
        yield from row.cases(home, count)
    except Exception as error:
        yield "the row itself", f"{type(error).__name__}: {error}"


def run(row: Row, count: int) -> Result:
    """Try the cases of a row in a new home, and print each that was not survived."""
    began = time.monotonic()
    wrong: list[str] = []
    tried = 0
    with home() as each:
        for name, problem in tried_cases(row, each, count):
            tried += 1
            if problem:
                wrong.append(f"{name}: {problem}")
                print(f"    {wrong[-1]}", file=sys.stderr, flush=True)
        # A fault that is not tried is not survived.
        if few := row.too_few(tried, count):
            wrong.append(few)
            print(f"    {few}", file=sys.stderr, flush=True)
    return Result(row.name, tried, time.monotonic() - began, wrong)


def main(words: list[str]) -> int:
    """Run the rows whose names hold one of the words, or all. Return 1 if a fault was not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("words", nargs="*", metavar="WORD", help="run the rows whose names hold it")
    parser.add_argument("--part", action="store_true", help="try a part of each row")
    parser.add_argument("--kept", type=Path, help="keep the results in this file, and run no row that is in it")
    options = parser.parse_args(words)
    kept = _read(options.kept)
    print(f"{'tried':>6} {'survived':>8} {'seconds':>8}  fault")
    lost = 0
    for row in ROWS:
        if options.words and not any(word in row.name for word in options.words):
            continue
        count = row.part if options.part else row.whole
        if not count:
            continue
        result = kept.get(row.name)
        if result is None:
            result = run(row, count)
            _keep(options.kept, result)
        lost += len(result.wrong)
        print(result, flush=True)
    return 1 if lost else 0


def _read(kept: Path | None) -> dict[str, Result]:
    """Return the results of an earlier campaign by row. A row that was run again replaces what it showed before."""
    if kept is None or not kept.is_file():
        return {}
    results = [Result(**json.loads(line)) for line in kept.read_text(encoding="utf-8").splitlines()]
    return {result.name: result for result in results}


def _keep(kept: Path | None, result: Result) -> None:
    if kept is not None:
        with kept.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(result)) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
