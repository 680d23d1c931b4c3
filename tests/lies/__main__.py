# SPDX-License-Identifier: MIT
"""Run every scenario that was written to mislead, and print its verdict beside the right one."""

from __future__ import annotations

import asyncio
import sys

from rig.errors import RigError, UsageError
from rig.experiment.request import Request
from rig.experiment.run import run_scenario
from rig.run.progress import NullProgress
from tests.lies.table import LIES, Lie


async def judged(lie: Lie) -> tuple[str, str]:
    """Return the verdict, and the claims that are not held, with their reasons."""
    try:
        run, _ = await run_scenario(Request(lie.path, lie.sets, record=False, dump_panics=False), NullProgress())
    except UsageError as error:
        return "refused", error.what
    except RigError as error:
        return "error", error.what
    reasons = [f"{claim.id}: {claim.reason}" for claim in run.claims if claim.verdict in ("failed", "invalid")]
    return run.verdict, "; ".join(reasons)


async def main(only: list[str]) -> int:
    lies = [lie for lie in LIES if not only or any(word in lie.name for word in only)]
    wrong = 0
    for lie in lies:
        verdict, reasons = await judged(lie)
        right = verdict == lie.right and (not lie.because or f"{lie.because}:" in reasons)
        wrong += not right
        print(f"{'✓' if right else '✗'} {verdict:<15} right: {lie.right:<15} {lie.name}", flush=True)
        print(f"    {reasons[:220]}") if reasons else None
    print(f"{len(lies)} lies, {wrong} believed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
