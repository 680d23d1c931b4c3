# SPDX-License-Identifier: MIT
"""Suites as GitHub's workflow commands: `::error …::message` lines that its runner shows as annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rig.run.suite import Suite

__all__ = ["annotation_lines"]

MOST = 10
"""GitHub shows so many errors a step; the rest would be lost without a word."""


def annotation_lines(suites: Sequence[Suite]) -> Iterator[str]:
    """Yield a line for each failed or broken case, and one line with the count of cases that are not shown."""
    bad = [(suite, case) for suite in suites for case in suite.cases if case.status in ("failed", "broken")]
    for suite, case in bad[: MOST if len(bad) <= MOST else MOST - 1]:
        level = "error" if case.status == "failed" else "warning"
        keys = [f"title={_property(f'{suite.name}: {case.name}')}"]
        if suite.file:
            keys.insert(0, f"file={_property(suite.file)}")
        yield f"::{level} {','.join(keys)}::{_data(case.message or case.status)}"
    if len(bad) > MOST:
        yield f"::error title=rig::{len(bad) - MOST + 1} more did not pass"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
