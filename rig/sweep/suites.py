# SPDX-License-Identifier: MIT
"""Convert a sweep's rows to test suites for CI.

Each run is a suite with its claims as cases. With repeats, the case `stable` fails if the runs of a point disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

from rig.run.suite import Case, Suite, cases_of_claims
from rig.sanitize import plain
from rig.sweep.axes import SweepPlan
from rig.sweep.columns import agreement
from rig.sweep.row import Row

__all__ = ["suites_of_rows"]


def suites_of_rows(plan: SweepPlan, rows: Sequence[Row]) -> list[Suite]:
    """Return one suite a row."""
    agreed = agreement(rows)
    suites = []
    for row in rows:
        name = " ".join([plan.scenario.rsplit("/", 1)[-1], *(f"{key}={value}" for key, value in row.settings.items())])
        cases = cases_of_claims(row.claims, row.verdict, row.reason)
        verdict, share = agreed[row.point]
        if plan.repeat > 1:
            name += f" run {row.repeat + 1}"
            share_text = f"{share:.0%} of its runs are {verdict}"
            cases += (
                Case("stable", "passed" if share == 1 else "failed", "" if share == 1 else share_text, (share_text,)),
            )
        notes = (plain(f"killed: {row.victim}"),) if row.oom_tied else ()
        properties = (("run", row.run), ("verdict", row.verdict))
        suites.append(Suite(name, cases, row.host_seconds, properties=properties, notes=notes))
    return suites
