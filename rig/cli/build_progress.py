# SPDX-License-Identifier: MIT
"""The progress of a long build: a line for each finished package and, on a terminal, the current step."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console

from rig.image.buildroot.make import Step
from rig.time_left import time_left

__all__ = ["BuildProgress"]


class BuildProgress:
    """Prints the steps of a build of Buildroot's; packages come after each other, not side by side."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.status = console.status("")
        self.package: Step | None = None
        self.since = 0.0
        self.expected = 0
        self.finished: set[str] = set()

    def __enter__(self) -> BuildProgress:
        if self.console.is_terminal:
            self.status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.status.stop()

    def expect(self, packages: int) -> None:
        """Take how many packages there are to build, for the estimate of the end."""
        self.expected = packages

    def step(self, step: Step, seconds: float) -> None:
        """Take a step that begins, and the seconds since the build began."""
        if self.package is None or (step.package, step.version) != (self.package.package, self.package.version):
            self.finish(seconds)
            self.package, self.since = step, seconds
        name = f"{step.package} {step.version}" if step.package else "image"
        done = len(self.finished)
        left = time_left(done, max(0, self.expected - done), seconds)
        count = f"  package {done + 1} of {max(self.expected, done + 1)}{left}" if self.expected else ""
        self.status.update(f"{_clock(seconds)}  {name}: {step.action}{count}")

    def finish(self, seconds: float) -> None:
        """Print the line of the package that is done."""
        if self.package is not None:
            if self.package.package:
                self.finished.add(self.package.package)
            name = f"{self.package.package} {self.package.version}" if self.package.package else self.package.action
            self.console.print(
                f"{_clock(seconds)}  {name}  {seconds - self.since:.0f} s", highlight=False, markup=False
            )
        self.package = None


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3}:{int(seconds) % 60:02}"
