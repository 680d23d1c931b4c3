# SPDX-License-Identifier: MIT
"""Suites as GitHub's workflow commands: `::error …::message` lines that its runner shows as annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rig.run.suite import Suite

__all__ = ["annotation_lines"]

MOST_OF_A_KIND = 10
"""GitHub shows so many errors a step; the rest would be lost without a word. Notices have the same bound."""


def annotation_lines(suites: Sequence[Suite]) -> Iterator[str]:
    """Yield a line for each failed or broken case, one with the count of cases that are not shown, and the notes."""
    bad = [(suite, case) for suite in suites for case in suite.cases if case.status in ("failed", "broken")]
    for suite, case in bad[: MOST_OF_A_KIND if len(bad) <= MOST_OF_A_KIND else MOST_OF_A_KIND - 1]:
        level = "error" if case.status == "failed" else "warning"
        yield f"::{level} {_keys(suite, f'{suite.name}: {case.name}')}::{_data(case.message or case.status)}"
    if len(bad) > MOST_OF_A_KIND:
        yield f"::error title=rig::{len(bad) - MOST_OF_A_KIND + 1} more did not pass"
    noted = [(suite, note) for suite in suites for note in suite.notes]
    for suite, note in noted[: MOST_OF_A_KIND if len(noted) <= MOST_OF_A_KIND else MOST_OF_A_KIND - 1]:
        yield f"::notice {_keys(suite, suite.name)}::{_data(note)}"
    if len(noted) > MOST_OF_A_KIND:
        yield f"::notice title=rig::{len(noted) - MOST_OF_A_KIND + 1} more notes"


def _keys(suite: Suite, title: str) -> str:
    return ",".join(([f"file={_property(suite.file)}"] if suite.file else []) + [f"title={_property(title)}"])


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
