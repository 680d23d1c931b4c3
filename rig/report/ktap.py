# SPDX-License-Identifier: MIT
"""Suites as KTAP version 1 (Documentation/dev-tools/ktap.rst): a suite is a test, its cases are subtests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rig.run.suite import Case, Suite

__all__ = ["ktap_text"]

INDENT = "  "


def ktap_text(suites: Sequence[Suite]) -> str:
    """Return the document. Failed and broken cases are both `not ok`; the diagnostic tells them apart."""
    lines = ["KTAP version 1", f"1..{len(suites)}"]
    for number, suite in enumerate(suites, 1):
        lines += [INDENT + line for line in _subtests(suite)]
        lines.append(_result(number, suite.name, Case(suite.name, suite.status)))
    return "\n".join(lines) + "\n"


def _subtests(suite: Suite) -> Iterator[str]:
    yield "KTAP version 1"
    # The kernel's parser finds the end of the subtests by this line (tools/testing/kunit/kunit_parser.py).
    yield f"# Subtest: {_word(suite.name)}"
    yield f"1..{len(suite.cases)}"
    for note in suite.notes:
        yield f"# {_word(suite.name)}: {_line(note)}"
    for number, case in enumerate(suite.cases, 1):
        # A diagnostic stands before the result that it belongs to.
        for line in case.numbers:
            yield f"# {_word(case.name)}: {_line(line)}"
        if case.status in ("failed", "broken"):
            kind = "condition or error" if case.status == "broken" else "failed"
            yield f"# {_word(case.name)}: {kind}: {_line(case.message)}"
        yield _result(number, case.name, case)


def _result(number: int, name: str, case: Case) -> str:
    status = "ok" if case.status in ("passed", "skipped") else "not ok"
    directive = ""
    if case.status == "skipped":
        directive = f" # SKIP {_line(case.message)}".rstrip()
    return f"{status} {number} {_word(name)}{directive}"


def _word(name: str) -> str:
    """Return a test's name without #, which begins a directive."""
    return _line(name).replace("#", "_")


def _line(text: str) -> str:
    return " ".join(text.split())
