# SPDX-License-Identifier: MIT
"""`rig run --bisect`: a run's verdict as the exit status that `git bisect run` reads (git-bisect(1)).

0 is good, 1 is bad, 125 is a commit that cannot be tested; from 128 on the bisection ends. The status of a usage
error, 64, would be read as bad at every commit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from rig.cli.print_error import print_error
from rig.errors import RigError, UsageError
from rig.experiment.request import Request, check_request

__all__ = ["CANNOT_TEST", "ENDS", "bisect_status", "status_of"]

GOOD, BAD, CANNOT_TEST, ENDS = 0, 1, 125, 128
T = TypeVar("T")
DECIDED = ("reproduced", "not-reproduced")


def status_of(verdicts: Sequence[str], good: str) -> int:
    """Return the status for the verdicts of a commit's runs; runs that disagree decide nothing."""
    verdict = verdicts[0] if len(set(verdicts)) == 1 else ""
    if verdict not in DECIDED:
        return CANNOT_TEST
    return GOOD if verdict == good else BAD


def bisect_status(
    prepare: Callable[[], Request],
    run: Callable[[Request], Sequence[str]],
    good: str | None,
    *,
    bisect: bool,
    others: bool,
) -> int:
    """Test the commit that is checked out and return the status that git reads.

    prepare: checks the options and returns the request; run: returns the verdicts of its runs;
    others: whether --all or --expect was given too.
    """

    def check() -> tuple[Request, str]:
        request = prepare()
        if not bisect or good not in DECIDED or others:
            raise UsageError(
                "--bisect needs one scenario and --good",
                where="rig run",
                remedy=f"as in: git bisect run rig run {request.scenario or 'SCENARIO'} --bisect --good reproduced "
                "--kernel tree:. (without --all and --expect)",
            )
        check_request(request)
        return request, good

    checked = _guarded(check, ENDS)
    if isinstance(checked, int):
        return checked
    request, wanted = checked
    verdicts = _guarded(lambda: run(request), CANNOT_TEST)
    return verdicts if isinstance(verdicts, int) else status_of(verdicts, wanted)


def _guarded(work: Callable[[], T], status: int) -> T | int:
    try:
        return work()
    except RigError as error:
        print_error(error)
        sys.stderr.flush()
        return status
