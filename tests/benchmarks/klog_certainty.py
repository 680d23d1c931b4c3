# SPDX-License-Identifier: MIT
"""How certain the log reader says it is, against how often it is right, over every input whose cause is known.

    python -m tests.benchmarks.klog_certainty [--wrong]

Inputs: reports that guests printed (tests/klog/data, tests/klog/causes), and reports made by changing figures of one
(tests/klog/test_causes.py). Prints a table; --wrong names the inputs that were judged wrongly.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator

from rig.klog import read
from rig.klog.explain import explain
from tests.klog import made
from tests.klog.causes import KERNELS, TABLE, archived
from tests.klog.test_causes import CASES, GUESTS
from tests.klog.test_guest_logs import DATA

__all__ = ["Judged", "judge_all", "table"]

Judged = tuple[str, str, str, str]
"""Where an input is from, its name, the certainty, and `right` or the cause that was named instead."""


def _inputs() -> Iterator[tuple[str, str, bytes, str, str]]:
    """Yield (origin, name, log, kind, cause) of each input with a known cause."""
    for path in sorted(DATA.glob("*.log")):
        cause = GUESTS.get(path.stem.split("-")[2])
        if cause is not None:
            yield "printed by guests", path.stem, path.read_bytes(), "oom", cause
    for suite in KERNELS:
        for name, log in archived(suite).items():
            if TABLE[name].cause:
                yield "printed by guests", f"{suite}-{name}", log, TABLE[name].kind, TABLE[name].cause
    for name, (lines, _certainty, _words) in CASES.items():
        cause = "processes" if name == "many of one name" else name
        yield "made by changing figures", name, made.serial(lines), "oom", cause


def judge_all() -> list[Judged]:
    """Judge every input."""
    found = []
    for origin, name, log, kind, cause in _inputs():
        event = next((event for event in read([log]).events if event.kind == kind), None)
        if event is None:
            found.append((origin, name, "none", "no event"))
            continue
        explanation = explain(event)
        right = "right" if explanation.cause == cause else explanation.cause
        found.append((origin, name, str(explanation.certainty), right))
    return found


def table(judged: list[Judged]) -> str:
    """Return the table in Markdown: for each origin and certainty, how many of the causes were right."""
    total = Counter((origin, certainty) for origin, _name, certainty, _right in judged)
    good = Counter((origin, certainty) for origin, _name, certainty, right in judged if right == "right")
    rows = [
        f"| {origin} | {certainty} | {good[origin, certainty]} of {count} |"
        for (origin, certainty), count in sorted(total.items())
    ]
    return "\n".join(["| inputs | said to be | right |", "|---|---|---|", *rows])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wrong", action="store_true", help="name the inputs that were judged wrongly")
    options = parser.parse_args(arguments)
    judged = judge_all()
    print(table(judged))
    for origin, name, certainty, right in judged:
        if options.wrong and right != "right":
            print(f"{origin}: {name}: {right or 'no cause'}, {certainty}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
