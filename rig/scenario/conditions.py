# SPDX-License-Identifier: MIT
"""Judge the conditions that every run must meet, whatever its scenario claims.

The sysctls that the plan set were still in force at the end (settings_held.py), and no program and no child of one
ended unexpectedly (programs_lived.py). A run of a scenario that does not speak of OOM kills must not have one: its
other claims would fail for that and not say so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from rig.run.document import Claimed, Shown
from rig.run.records import Record
from rig.scenario.evidence import Evidence
from rig.scenario.programs_lived import programs_lived
from rig.scenario.refusals import refusals, refused_by_kernel
from rig.scenario.settings_held import settings_held

if TYPE_CHECKING:
    from rig.klog import OomEvent
    from rig.scenario.load import CheckedClaim, Scenario

__all__ = ["NO_OOM", "REFUSED", "built_in", "kill_by_agent", "refused_fork", "unforeseen_oom"]

NO_OOM = "no-oom"
ABOUT_OOM = frozenset(("oom", "ooms", "before_oom", "anon_grown", "swapped_out", "candidates", "watermarks"))
"""Names in a claim by which a scenario speaks of OOM reports."""
NO_SYSRQ = "no-kill-by-sysrq"
NO_KILL_BY_AGENT = "no-kill-by-agent"
AGENT_PID = 1
SYSRQ, TRIGGER = "sysrq", "/proc/sysrq-trigger"
REFUSED = "no-fork-refused"


def built_in(scenario: Scenario, evidence: Evidence) -> Iterator[Claimed]:
    """Yield each built-in condition for which the run has records."""
    settings = settings_held(evidence)
    if settings is not None:
        yield settings
    refused = refused_by_kernel(evidence)
    if refused is not None:
        yield refused
    asked = _kill_by_sysrq(scenario, evidence)
    if asked is not None:
        yield asked
    if evidence.records.of("spawn"):
        without_fork = {record.get("pid") for record, _ in refusals(evidence)}
        yield programs_lived(evidence, partial(_may_fail, scenario), without_fork)


def _kill_by_sysrq(scenario: Scenario, evidence: Evidence) -> Claimed | None:
    """Return a failed condition if somebody called the OOM killer by SysRq f; None otherwise.

    Memory had not run out then, so no claim may rest on that report. A plan that writes to /proc/sysrq-trigger and a
    scenario whose claims name SysRq expect it.
    """
    asked = [report for report in evidence.ooms() if report.scope == SYSRQ]
    writes = any(step.verb == "write" and dict(step.words).get("path") == TRIGGER for step in evidence.plan.steps)
    claimed = any(SYSRQ in text for checked in scenario.claims for text in _expressions(checked))
    if not asked or writes or claimed:
        return None
    return _kill_that_shows_nothing(
        NO_SYSRQ,
        "nobody called the OOM killer by SysRq f",
        asked[:1],
        "SysRq f asked for the kill of {}; memory had not run out",
    )


def kill_by_agent(evidence: Evidence, *, only_first: bool = False) -> Claimed | None:
    """Return a failed condition if a request of the agent's own called the OOM killer; None otherwise.

    only_first: whether it counts only where no other request had called it before: then whether there was a kill at all
    does not rest on the agent.

    The agent watches how much it takes of an exhausted memory (guest/agent/reserve.c). Where that is too much all the
    same, the kill need not have come without it.
    """
    reports = evidence.ooms()[:1] if only_first else evidence.ooms()
    asked = [report for report in reports if report.invoker is not None and report.invoker.pid == AGENT_PID]
    if not asked:
        return None
    return _kill_that_shows_nothing(
        NO_KILL_BY_AGENT,
        "the agent's own requests for memory did not call the OOM killer",
        asked,
        "the agent's own request for memory called the OOM killer, which killed {};"
        " without the agent it might not have come",
    )


def _kill_that_shows_nothing(name: str, text: str, reports: Sequence[OomEvent], reason: str) -> Claimed:
    """Return the failed condition. reason: what follows the line's number, with {} for who was killed."""
    killed = ", ".join(f"{kill.comm} ({kill.pid})" for report in reports for kill in report.kills) or "nobody"
    return Claimed(
        id=name,
        text=text,
        kind="condition",
        verdict="failed",
        values=(Shown(name="killed", value=killed, shown=killed),),
        reason=f"line {reports[0].line} of console.log: {reason.format(killed)}",
    )


def _expressions(checked: CheckedClaim) -> Iterator[str]:
    yield checked.expr.text
    if checked.when is not None:
        yield checked.when.text
    yield from (expression.text for expression in checked.values.values())


def unforeseen_oom(scenario: Scenario, evidence: Evidence) -> Claimed | None:
    """Return a failed claim if memory ran out although the scenario speaks of no OOM; None otherwise.

    A report after which nobody was killed changed nothing: the allocation failed, and what came of that is claimed.
    One by SysRq f is no shortage.
    """
    reports = [each for each in evidence.ooms() if (each.kills or evidence.panics()) and each.scope != SYSRQ]
    if not reports or _speaks_of_oom(scenario):
        return None
    killed = [f"{kill.comm} ({kill.pid})" for each in reports for kill in each.kills]
    where = "a cgroup" if reports[0].scope == "memcg" else "the guest"
    what = f"the kernel killed {', '.join(killed)}" if killed else "the kernel killed nobody"
    return Claimed(
        id=NO_OOM,
        text="the guest had memory enough: no OOM came",
        kind="claim",
        verdict="failed",
        values=(Shown(name="killed", value=killed, shown=", ".join(killed) or "none"),),
        reason=f"{where} ran out of memory, line {reports[0].line} of console.log: {what}",
    )


def refused_fork(scenario: Scenario, evidence: Evidence) -> Claimed | None:
    """Return a failed claim if a program ended because the kernel refused its fork; None otherwise.

    A scenario with a claim of its own on that, which ends the plan, and a program that may fail are left alone.
    """
    if any(checked.claim.ends_the_plan for checked in scenario.claims):
        return None
    refused = [
        f"{_name(record)} ({record.get('pid')}): {said}"
        for record, said in refusals(evidence)
        if not _may_fail(scenario, str(record.get("program")), None)
    ]
    if not refused:
        return None
    return Claimed(
        id=REFUSED,
        text="the kernel refused no fork",
        kind="claim",
        verdict="failed",
        values=(Shown(name="refused", value=refused, shown=", ".join(refused)),),
        reason=f"the kernel refused the fork of {refused[0]}, and the program ended",
    )


def _name(record: Record) -> str:
    return str(record.get("comm") or record.get("program"))


def _speaks_of_oom(scenario: Scenario) -> bool:
    """Return whether a claim names an OOM, or the plan waits for one."""
    claimed = any(checked.names & ABOUT_OOM for checked in scenario.claims)
    return claimed or any("oom" in step.keys for step in scenario.file.plan.steps)


def _may_fail(scenario: Scenario, program: str, comm: str | None) -> bool:
    """Return whether `may_fail` allows a program, or its child of that comm, to fail."""
    runs = _runs(scenario, program)
    allowed = [each.may_fail for each in scenario.file.programs if each.name in runs]
    return any(
        each if isinstance(each, bool) else comm is not None and any(fnmatchcase(comm, name) for name in each)
        for each in allowed
    )


def _runs(scenario: Scenario, name: str) -> set[str]:
    """Return the programs that the plan starts under the role `name`: the `run` key of a spawn step chooses another."""
    runs = {str(step.keys.get("run", name)) for step in scenario.file.plan.steps if step.keys.get("program") == name}
    return runs | {name}
