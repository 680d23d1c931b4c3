# SPDX-License-Identifier: MIT
"""The remedies that fit an event, and what a run may say of one."""

from __future__ import annotations

from rig.klog.event import Event
from rig.klog.explain.causes import cause_of
from rig.klog.explain.explanation import Remedy
from rig.klog.explain.facts import refuses_commitments
from rig.klog.explain.measured_remedies import MEASURED
from rig.klog.explain.remedy import RemedyRow
from rig.klog.explain.remedy_table import TABLE
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent

__all__ = ["HELPS", "kind_of_failure", "remedies_for", "rows_for"]

REFUTES = ("no difference", "stalled", "worse")
"""Outcomes of a run that refute a remedy."""
HELPS = ("prevented", "refused earlier", "another died", "later")
"""Outcomes in which a remedy did what it is for."""
KILLS_BY_DESIGN = ("memory.oom.group", "user-space-killer")
"""Remedies that are to kill, more processes or sooner, which a run tells as worse."""


def kind_of_failure(event: Event) -> str:
    """Return the kind of failure under which remedies are measured; empty for one that no scenario has."""
    if refuses_commitments(event):
        return "refused"
    return cause_of(event).name if isinstance(event, OomEvent) and event.kind is Kind.OOM else ""


def rows_for(event: Event) -> tuple[RemedyRow, ...]:
    """Return the rows for an event, in the table's order, also those that no run has measured."""
    failure = kind_of_failure(event)
    return tuple(row for row in TABLE if row.fits(event, failure))


def remedies_for(event: Event, failure: str) -> tuple[Remedy, ...]:
    """Return the remedies that fit an event and that helped in a run, in the table's order.

    A remedy that did not help in a replica of this kind of failure is left out.
    failure: what kind_of_failure() returns for the event. The caller has found the cause already, and to find it again
        would take as long.
    """
    found = []
    measured = MEASURED.get(failure, {})
    for row in TABLE:
        run = measured.get(row.name)
        refuted = run is not None and run.outcome in REFUTES and row.name not in KILLS_BY_DESIGN
        proved = run is not None and run.outcome == "prevented" and run.agree == run.of > 1
        if refuted or not (row.measured or proved) or not row.fits(event, failure):
            continue
        what = row.what
        if row.detail is not None and isinstance(event, OomEvent):
            what = what.replace("{}", row.detail(event))
        quoted = f"{run.text} ({run.agree} of {run.of} timings)" if run is not None and run.outcome in HELPS else ""
        found.append(Remedy(what, row.cost, row.name, quoted))
    return tuple(found)
