# SPDX-License-Identifier: MIT
"""Verdicts of runs and claims, and the exit status of each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from rig.errors import EXIT_ERROR

__all__ = ["EXIT_STATUS", "VERDICTS", "ClaimVerdict", "Verdict", "worst"]

Verdict = Literal["reproduced", "not-reproduced", "invalid", "error"]
ClaimVerdict = Literal["held", "failed", "not-applicable", "invalid"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
EXIT_STATUS: dict[Verdict, int] = {"reproduced": 0, "not-reproduced": 1, "invalid": 2, "error": EXIT_ERROR}


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of several verdicts: the one with the highest exit status."""
    return max(verdicts, key=EXIT_STATUS.__getitem__, default="reproduced")
