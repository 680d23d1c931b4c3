# SPDX-License-Identifier: MIT
"""Suites as Markdown for the summary of a job of GitHub Actions: a table a run, a row a claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rig.run.suite import Case, Suite

__all__ = ["summary_markdown"]

MARKS = {"passed": "✓", "failed": "✗", "broken": "!", "skipped": "–"}
WORDS = {"passed": "held", "failed": "failed", "broken": "invalid", "skipped": "not applicable"}
LARGEST = 900_000
"""Bytes. GitHub refuses the whole summary of a step that is larger than 1 MiB."""


def summary_markdown(suites: Sequence[Suite]) -> str:
    """Return a table a suite. Suites that would make the text larger than LARGEST are counted at its end."""
    parts: list[str] = []
    size = 0
    for suite in suites:
        part = "\n".join(_suite(suite)) + "\n\n"
        size += len(part.encode())
        if size > LARGEST:
            parts.append(f"{len(suites) - len(parts)} more are not shown.\n")
            break
        parts.append(part)
    return "".join(parts)


def _suite(suite: Suite) -> Iterator[str]:
    about = dict(suite.properties)
    seconds = "" if suite.seconds is None else f", {suite.seconds:.1f} s"
    yield f"### {_cell(suite.name)}: {_cell(about.get('verdict', WORDS[suite.status]))}{seconds}"
    yield ""
    if kernel := about.get("kernel"):
        yield f"Kernel {_cell(kernel)}."
        yield ""
    for note in suite.notes:
        yield f"{_cell(note)}."
        yield ""
    yield "| | claim | verdict | values |"
    yield "|---|---|---|---|"
    for case in suite.cases:
        yield _row(case)


def _row(case: Case) -> str:
    values = "; ".join([*case.numbers, *([case.message] if case.message else [])])
    return f"| {MARKS[case.status]} | {_cell(case.name)} | {WORDS[case.status]} | {_cell(values)} |"


def _cell(text: str) -> str:
    """Return text that Markdown shows as it is. It may come from a guest, which could else write links or HTML."""
    line = " ".join(text.split())
    return "".join(f"&#{ord(character)};" if character in "\\`*_{}[]<>()#!|&@~:" else character for character in line)
