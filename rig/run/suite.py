# SPDX-License-Identifier: MIT
"""Runs, sweep points and checks as test suites for CI systems: each suite has cases with one of four statuses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rig.run.document import Claimed, Run
from rig.sanitize import plain

__all__ = ["Case", "CaseStatus", "Suite", "cases_of_claims", "suite_of_error", "suite_of_run"]

CaseStatus = Literal["passed", "failed", "skipped", "broken"]
STATUS_OF_CLAIM: dict[str, CaseStatus] = {
    "held": "passed", "failed": "failed", "not-applicable": "skipped", "invalid": "broken",
}  # fmt: skip
MOST_TIES = 3


@dataclass(frozen=True)
class Case:
    """One claim or check as a test case.

    message: why the case did not pass, on one line.
    numbers: the values that it was judged on.
    seconds: how long it took; None for a claim, all of which are judged over one run.
    """

    name: str
    status: CaseStatus
    message: str = ""
    numbers: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True)
class Suite:
    """One run, sweep point or kernel as a test suite.

    seconds: host seconds that all of it took.
    started: its start in host time, ISO 8601; empty if not known.
    file: path of the source, for annotations.
    notes: what a reader of the result has to know beside it, one line each.
    """

    name: str
    cases: tuple[Case, ...]
    seconds: float | None = None
    started: str = ""
    file: str = ""
    properties: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> CaseStatus:
        """Return the worst status of the cases; `skipped` when all cases are skipped or there are none."""
        order: tuple[CaseStatus, ...] = ("broken", "failed", "passed")
        there = {case.status for case in self.cases}
        return next((status for status in order if status in there), "skipped")


def cases_of_claims(claims: Sequence[Claimed], verdict: str, reason: str) -> tuple[Case, ...]:
    """Return one case per claim, and one more for a verdict that no claim explains."""
    cases = []
    for claim in claims:
        status = STATUS_OF_CLAIM[claim.verdict]
        if claim.kind == "condition" and status == "failed":
            status = "broken"
        message = "" if status == "passed" else plain(claim.reason or claim.text)
        numbers = tuple(f"{plain(value.name)}: {plain(value.shown)}" for value in claim.values)
        cases.append(Case(claim.id, status, message, numbers))
    if verdict == "error" or (verdict == "invalid" and not any(case.status == "broken" for case in cases)):
        cases.append(Case("run", "broken", plain(reason) or verdict))
    return tuple(cases)


def suite_of_error(name: str, error: Exception | None) -> Suite:
    """Return the suite of a run that failed with an error before it had a verdict."""
    return Suite(name, (Case("run", "broken", plain(f"{error}")),))


def suite_of_run(run: Run) -> Suite:
    """Return the suite of a run, with its claims as cases."""
    return Suite(
        name=run.scenario,
        cases=cases_of_claims(run.claims, run.verdict, run.reason),
        seconds=run.host_seconds,
        started=run.started,
        file=f"{run.scenario_directory}/scenario.toml" if run.scenario_directory else "",
        properties=(
            ("run", run.id),
            ("verdict", run.verdict),
            ("kernel", run.environment.kernel),
            ("kernel_package", run.environment.kernel_package),
            *((f"set.{name}", value) for name, value in run.settings.items()),
            *_times(run),
        ),
        notes=tuple(_ties(run)),
    )


def _ties(run: Run) -> Iterator[str]:
    """Yield a line for each of the first OOM reports whose victim the kernel might have chosen otherwise."""
    for oom in [each for each in run.ooms if each.tied_with][:MOST_TIES]:
        yield plain(f"killed: {oom.victims} (their badness differs by at most {oom.slack_pages} pages)")


def _times(run: Run) -> Iterator[tuple[str, str]]:
    """Yield where the run's time went: host seconds a phase, and guest seconds."""
    if run.guest_seconds is not None:
        yield "guest_seconds", f"{run.guest_seconds:.3f}"
    for phase in run.phases:
        yield f"host_seconds.{phase.name}", f"{phase.host_seconds:.3f}"
