# SPDX-License-Identifier: MIT
"""The victim of a replica is worse than a task that was tied with it, and no worse than the report says otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.reproduce.fingerprint import Fingerprint
from rig.reproduce.scaling import replica_of
from rig.reproduce.tie import victims_lead
from tests.reproduce.test_agreement import report

SLACK = 4 * 64


def ahead(pages: int) -> Fingerprint:
    """Return a report whose victim's badness is so many pages above that of the next task."""
    made = report()
    victim = next(holder for holder in made.holders if holder.pid == made.victim_pid)
    rival = next(holder for holder in made.holders if holder.pid != made.victim_pid and holder.points is not None)
    holders = (replace(victim, points=9000 + pages), replace(rival, points=9000))
    return replace(made, holders=holders)


@pytest.mark.parametrize(
    ("pages", "lead"), [(0, 256), (28, 228), (-100, 356), (255, 1), (256, 0), (5000, 0), (-257, 0), (-5000, 0)]
)
def test_victim_that_was_tied_leads_by_what_counters_err(pages: int, lead: int) -> None:
    assert victims_lead(ahead(pages), 1.0) == lead * 4096


def test_lead_is_not_scaled_and_the_distance_is() -> None:
    assert victims_lead(ahead(1000), 10.0) == (256 - 100) * 4096


def test_report_without_a_victim_or_a_rival_has_no_lead() -> None:
    assert victims_lead(replace(report(), victim_pid=None), 1.0) == 0
    alone = ahead(0)
    assert victims_lead(replace(alone, holders=alone.holders[:1]), 1.0) == 0


def test_replicas_victim_holds_the_lead_and_the_other_does_not() -> None:
    tied = ahead(0)
    apart = replace(tied, holders=(replace(tied.holders[0], points=99000), tied.holders[1]))

    def held(fingerprint: Fingerprint) -> dict[str, int]:
        return {actor.comm: actor.held for actor in replica_of(fingerprint).actors}

    more = {comm: size - held(apart)[comm] for comm, size in held(tied).items() if size != held(apart)[comm]}
    assert more == {tied.victim: SLACK * 4096}
