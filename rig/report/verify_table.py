# SPDX-License-Identifier: MIT
"""Kernels by checks: on the terminal, as Markdown, and as suites for CI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rig.run.suite import Case, CaseStatus, Suite
from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.table import Table

    from rig.verify.check import Check, Result
    from rig.verify.kernels import Verified

__all__ = ["checks_table", "kernels_table", "markdown_table", "suites_of", "summary"]

MARKS = {"pass": "✓", "fail": "✗", "not-applicable": "–", "broken": "!"}
STYLES = {"pass": "green", "fail": "bold red", "not-applicable": "dim", "broken": "magenta"}
CASES: dict[str, CaseStatus] = {
    "pass": "passed", "fail": "failed", "not-applicable": "skipped", "broken": "broken",
}  # fmt: skip


def checks_table(checks: Sequence[Check]) -> Table:
    """Return the checks with their rules, controls and sources."""
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for title in ("check", "rule", "control", "source"):
        table.add_column(title)
    for check in checks:
        control = f"without {check.negated}" if check.negated else check.control
        table.add_row(check.name, check.rule, control, "\n".join(str(source) for source in check.sources))
    return table


def kernels_table(verified: Sequence[Verified], *, everything: bool = True) -> Table:
    """Return a row a check and a column a kernel; with one kernel the numbers stand beside the mark."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    table.add_column("check")
    measured = [each for each in verified if each.results]
    for each in measured:
        table.add_column(_version(each))
    table.add_column("judged on")
    for row in zip(*(each.results for each in measured), strict=True):
        bad = [result for result in row if result.status in ("fail", "broken")]
        if not everything and not bad:
            continue
        marks = [Text(f"{MARKS[result.status]} {result.status}", STYLES[result.status]) for result in row]
        reasons = [result.why for result in bad if result.why] + [_numbers(result) for result in (bad or row[:1])]
        table.add_row(row[0].check.name, *marks, plain("; ".join(text for text in reasons if text), longest=400))
    return table


def summary(verified: Verified) -> str:
    """Return the counts of results on one line, or the reason why there are no results."""
    statuses = [result.status for result in verified.results]
    counts = ", ".join(f"{statuses.count(status)} {status}" for status in MARKS if status in statuses)
    kernel = plain(f"{verified.kernel} {verified.release}".strip())
    return f"{kernel}: {counts or 'unavailable: ' + plain(verified.unavailable)} in {verified.seconds:.1f} s"


def _version(verified: Verified) -> str:
    return plain(verified.release.split("-")[0] or verified.kernel)


def _numbers(result: Result) -> str:
    return plain(" ".join(f"{name}={value}" for name, value in result.numbers.items()), longest=400)


def markdown_table(verified: Sequence[Verified]) -> str:
    """Return a Markdown table of checks by kernels, and the kernels that were not available."""
    measured = [each for each in verified if each.results]
    lines = ["| check | " + " | ".join(_version(each) for each in measured) + " | rule |"]
    lines.append("|---" * (len(measured) + 2) + "|")
    for row in zip(*(each.results for each in measured), strict=True):
        words = [result.status if result.status != "pass" else "✓" for result in row]
        lines.append(f"| {row[0].check.name} | " + " | ".join(words) + f" | {row[0].check.rule} |")
    lines += [
        f"\n{plain(each.kernel)}: unavailable: {plain(each.unavailable)}" for each in verified if not each.results
    ]
    return "\n".join(lines)


def suites_of(verified: Sequence[Verified]) -> list[Suite]:
    """Return a suite for each kernel; a kernel that was not available is a suite with one skipped case."""
    suites = []
    for each in verified:
        name = f"verify {each.suite} {each.kernel} {each.release}".strip()
        cases = tuple(
            Case(
                result.check.name,
                CASES[result.status],
                plain(result.why),
                tuple(f"{plain(key)}: {plain(value)}" for key, value in result.numbers.items()),
            )
            for result in each.results
        )
        if each.unavailable:
            cases = (Case("kernel", "skipped", plain(f"unavailable: {each.unavailable}")),)
        suites.append(Suite(name, cases, each.seconds, properties=(("kernel_package", each.package),)))
    return suites
