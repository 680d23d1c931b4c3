# SPDX-License-Identifier: MIT
"""Judge claims by what is confirmed of the console's reports.

Root in the guest can print a report that looks like the kernel's. Claims are judged twice where all or part of a
report could not be confirmed: with the report, and with what the kernel's own lines have of it. A claim whose verdict
differs rests on what may be a program's text, so it cannot be judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rig.klog import Event
from rig.run.document import Claimed
from rig.scenario.compare_reports import Compared, Doubt
from rig.scenario.evidence import Evidence

__all__ = ["judge_confirmed"]


def judge_confirmed(
    judge: Callable[[Evidence], tuple[Claimed, ...]], evidence: Evidence, compared: Compared
) -> tuple[Claimed, ...]:
    """Return the claims that `judge` returns for the evidence; those that rest on an unconfirmed report are invalid."""
    claims = judge(evidence)
    if not compared.doubts:
        return claims
    sure = {claim.id: claim for claim in judge(_without(evidence, compared.doubts))}
    what = "; ".join(doubt.what for doubt in compared.doubts[:2])
    more = f" and {len(compared.doubts) - 2} more" if len(compared.doubts) > 2 else ""
    reason = f"it rests on what nothing confirms to be the kernel's: {what}{more}"
    return tuple(
        claim
        if claim.verdict == "invalid" or _agrees(claim, sure.get(claim.id))
        else claim.model_copy(update={"verdict": "invalid", "reason": reason})
        for claim in claims
    )


def _agrees(claim: Claimed, sure: Claimed | None) -> bool:
    """Return whether a claim's verdict is the same by what is confirmed, and if it failed, whether for the same cause.

    sure: the claim by what is confirmed; None for a condition that is a claim only where it failed.
    """
    if sure is None or claim.verdict != sure.verdict:
        return False
    return claim.verdict != "failed" or (claim.values, claim.reason) == (sure.values, sure.reason)


def _without(evidence: Evidence, doubts: list[Doubt]) -> Evidence:
    """Return the evidence with what is confirmed of these reports in their place."""
    confirmed = {id(doubt.report): doubt.confirmed for doubt in doubts}
    events = [_in_place(each, confirmed.get(id(each), each)) for each in evidence.log.events]
    return replace(evidence, log=replace(evidence.log, events=tuple(each for each in events if each is not None)))


def _in_place(report: Event, confirmed: Event | None) -> Event | None:
    """Return the confirmed event with the number, time and lines of the report."""
    if confirmed is None or confirmed is report:
        return confirmed
    return replace(confirmed, number=report.number, time=report.time, line=report.line, last_line=report.last_line)
