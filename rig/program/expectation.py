# SPDX-License-Identifier: MIT
"""Parse `--expect`, the expected result of a run, on which the exit status then depends."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from rig.errors import UsageError

__all__ = ["Expectation", "parse_expectation"]

KINDS = "oom, no-oom, stall, exit=N or signal=NAME"


@dataclass(frozen=True)
class Expectation:
    """The expected result of a run.

    kind: oom, no-oom, stall, exit or signal.
    value: the exit status, or the signal's name without SIG; empty for the other kinds.
    """

    kind: str
    value: str = ""

    def __str__(self) -> str:
        """The expectation as `--expect` takes it."""
        return self.kind + (f"={self.value}" if self.value else "")

    @property
    def sentence(self) -> str:
        """The expectation as the text of a claim."""
        return {
            "oom": "The kernel invoked the OOM killer",
            "no-oom": "The kernel did not invoke the OOM killer",
            "stall": "The program stalled for want of memory",
            "exit": f"The program ended with status {self.value}",
            "signal": f"The program was ended by SIG{self.value}",
        }[self.kind]


def parse_expectation(text: str) -> Expectation:
    """Return the expectation of `--expect TEXT`. Raises UsageError for a text that is not one of KINDS."""
    kind, equals, value = text.partition("=")
    if text in ("oom", "no-oom", "stall"):
        return Expectation(text)
    if kind == "exit" and value.isascii() and value.isdigit() and int(value) <= 255:
        return Expectation("exit", str(int(value)))
    name = value.upper().removeprefix("SIG")
    if kind == "signal" and equals and f"SIG{name}" in signal.Signals.__members__:
        return Expectation("signal", name)
    raise UsageError(f"'{text}' is not a valid expectation", where="--expect", remedy=f"write {KINDS}")
