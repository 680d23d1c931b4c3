# SPDX-License-Identifier: MIT
"""The run that `rig_run` gives to a test: a Run with its directory, that says why its verdict is another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import PrivateAttr

from rig.run.document import Run
from rig.sanitize import plain

__all__ = ["TestedRun", "describe_run", "run_properties"]


class TestedRun(Run):
    """A run of a test."""

    __test__ = False  # pytest collects classes whose name begins with Test
    _directory: Path = PrivateAttr(Path())

    @classmethod
    def of(cls, run: Run, directory: Path) -> TestedRun:
        """Return the run with its directory."""
        tested = cls.model_construct(**{name: getattr(run, name) for name in Run.model_fields})
        tested._directory = directory
        return tested

    @property
    def directory(self) -> Path:
        """The run's directory."""
        return self._directory

    def assert_reproduced(self) -> Self:
        """Return the run, or raise AssertionError with its verdict, failed claims and directory."""
        __tracebackhide__ = True
        if self.verdict != "reproduced":
            raise AssertionError("\n".join(describe_run(self)))
        return self


def describe_run(run: TestedRun) -> Iterator[str]:
    """Yield the verdict, each claim that does not hold with the values that it was judged on, and the directory."""
    reason = f": {plain(run.reason)}" if run.reason else ""
    yield f"{plain(run.scenario)} is {run.verdict}{reason}"
    for claim in run.claims:
        if claim.verdict in ("failed", "invalid"):
            yield f"  {claim.verdict} {claim.id}: {plain(claim.reason or claim.text)}"
            values = "  ".join(f"{plain(value.name)} {plain(value.shown)}" for value in claim.values)
            if values:
                yield f"    {values}"
    yield f"  {run.directory}"


def run_properties(run: TestedRun) -> Iterator[tuple[str, object]]:
    """Yield properties for pytest's JUnit XML: verdict, times in seconds, and the value of each claim."""
    yield "rig.run", run.id
    yield "rig.verdict", run.verdict
    if run.host_seconds is not None:
        yield "rig.host_seconds", round(run.host_seconds, 3)
    if run.guest_seconds is not None:
        yield "rig.guest_seconds", round(run.guest_seconds, 3)
    for claim in run.claims:
        yield f"rig.{claim.id}", claim.verdict
        for value in claim.values:
            yield f"rig.{claim.id}.{plain(value.name)}", plain(value.shown)
