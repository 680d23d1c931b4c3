# SPDX-License-Identifier: MIT
"""`rig run --bisect`: a run's verdict as the exit status that `git bisect run` reads (git-bisect(1)).

0 is good, 1 is bad, 125 is a commit that cannot be tested; from 128 on the bisection ends. A usage error's own status,
64, would be read as bad at every commit.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.experiment.run import Request

__all__ = ["CANNOT_TEST", "ENDS", "bisect_status", "status_of"]

GOOD, BAD, CANNOT_TEST, ENDS = 0, 1, 125, 128
T = TypeVar("T")
DECIDED = ("reproduced", "not-reproduced")


def status_of(verdicts: Sequence[str], good: str) -> int:
    """Return the status for the verdicts of a commit's runs; runs that disagree tell nothing."""
    verdict = verdicts[0] if len(set(verdicts)) == 1 else ""
    if verdict not in DECIDED:
        return CANNOT_TEST
    return GOOD if verdict == good else BAD


def bisect_status(request: Request, good: str | None, *, bisect: bool, repeat: int, others: bool, quiet: bool) -> int:
    """Run the scenario on the commit that is checked out and return what git is to be told of it."""
    from rig.experiment.run import check_request

    def call() -> str:
        if not bisect or good not in DECIDED or others or not request.scenario:
            raise UsageError(
                "--bisect needs one scenario and what is good",
                where="rig run",
                remedy=f"as in: git bisect run rig run {request.scenario or 'SCENARIO'} --bisect --good reproduced "
                "--kernel tree:. (without --all and --expect)",
            )
        check_request(request)
        return good

    wanted = _guarded(call, ENDS)
    if isinstance(wanted, int):
        return wanted
    verdicts = _guarded(lambda: _verdicts(request, repeat, quiet=quiet), CANNOT_TEST)
    return verdicts if isinstance(verdicts, int) else status_of(verdicts, wanted)


def _verdicts(request: Request, repeat: int, *, quiet: bool) -> list[str]:
    from rig.cli.run import run_once

    return [run_once(request, quiet=quiet, as_json=False, number=number, of=repeat).verdict for number in range(repeat)]


def _guarded(work: Callable[[], T], status: int) -> T | int:
    from rig.cli.app import print_error

    try:
        return work()
    except RigError as error:
        print_error(error)
        sys.stderr.flush()
        return status
