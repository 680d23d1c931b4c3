# SPDX-License-Identifier: MIT
"""Judge the conditions that every run must meet, whatever its scenario claims.

The sysctls that the plan set were still in force at the end (settings_held.py), and no program and no child of one
ended unexpectedly. A run of a scenario that does not speak of OOM kills must not have one: its other claims would fail
for that and not say so.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from rig.run.document import Claimed, Shown
from rig.run.records import Record
from rig.scenario.evidence import Evidence
from rig.scenario.refusals import refusals, refused_by_kernel
from rig.scenario.settings_held import settings_held

if TYPE_CHECKING:
    from rig.scenario.load import CheckedClaim, Scenario
    from rig.scenario.plan import RenderedStep

__all__ = ["NO_OOM", "REFUSED", "built_in", "refused_fork", "unforeseen_oom"]

NO_OOM = "no-oom"
ABOUT_OOM = frozenset(("oom", "ooms", "before_oom", "anon_grown", "swapped_out", "candidates", "watermarks"))
"""Names in a claim by which a scenario speaks of OOM reports."""
NO_SYSRQ = "no-kill-by-sysrq"
SYSRQ, TRIGGER = "sysrq", "/proc/sysrq-trigger"
REFUSED = "no-fork-refused"
PROGRAMS = "programs-lived"
MOST_SHOWN = 5


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
        yield _programs_lived(scenario, evidence)


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
    killed = ", ".join(f"{kill.comm} ({kill.pid})" for kill in asked[0].kills) or "nobody"
    return Claimed(
        id=NO_SYSRQ,
        text="nobody called the OOM killer by SysRq f",
        kind="condition",
        verdict="failed",
        values=(Shown(name="killed", value=killed, shown=killed),),
        reason=f"line {asked[0].line} of console.log: SysRq f asked for the kill of {killed}; memory had not run out",
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


def _programs_lived(scenario: Scenario, evidence: Evidence) -> Claimed:
    """Find the programs, and children of programs, that failed although nothing explains their end.

    A step that waits for the end, a signal that the plan sends, the OOM killer, a fork that the kernel refused, and
    `may_fail` explain it.
    """
    spawned = {record.get("pid"): str(record.get("program")) for record in evidence.records.of("spawn")}
    explained_pids = {kill.pid for oom in evidence.ooms() for kill in oom.kills} | {
        record.get("pid") for record, _ in refusals(evidence)
    }
    expected = set(_expected(evidence))
    expected_programs = {each.partition("/")[0] for each in expected}
    died = []
    for record, explained in _ends(evidence):
        how = _how(record)
        if not how or record.get("pid") in explained_pids:
            continue
        name = spawned.get(record.get("pid"))
        program, comm = name or str(record.get("program")), str(record.get("comm"))
        if _may_fail(scenario, program, None if name else comm):
            continue
        if name is None and not explained and f"{program}/{comm}" not in expected:
            died.append(f"{comm} ({record.get('pid')}), a child of {program}, {how}")
        if name is not None and name not in expected_programs:
            died.append(f"{name} ({record.get('pid')}) {how}{_last_words(evidence, name)}")
    more = [f"and {len(died) - MOST_SHOWN} more"] if len(died) > MOST_SHOWN else []
    return Claimed(
        id=PROGRAMS,
        text="no program and no child of one ended that was not meant to",
        kind="condition",
        verdict="failed" if died else "held",
        values=(),
        reason="; ".join([*died[:MOST_SHOWN], *more]),
    )


def _may_fail(scenario: Scenario, program: str, comm: str | None) -> bool:
    """Return whether `may_fail` allows a program, or its child of that comm, to fail."""
    runs = _runs(scenario, program)
    allowed = [each.may_fail for each in scenario.file.programs if each.name in runs]
    return any(
        each if isinstance(each, bool) else comm is not None and any(fnmatchcase(comm, name) for name in each)
        for each in allowed
    )


def _ends(evidence: Evidence) -> Iterator[tuple[Record, bool]]:
    """Yield each `exit` record, and whether the program was disturbed before it.

    A signal of the plan to the program itself and an OOM kill disturb a program: what its other processes do then is a
    consequence. A database ends all of its workers when the OOM killer has killed one.
    """
    disturbed: set[str] = set()
    out_of_memory = False
    for record in evidence.records.items:
        if record["ev"] == "oom":
            out_of_memory = True
        elif record["ev"] == "step" and isinstance(record.get("i"), int):
            step = evidence.plan.steps[record["i"]] if 0 <= record["i"] < len(evidence.plan.steps) else None
            if step is not None and _sends(step) and "comm" not in dict(step.words):
                disturbed.add(dict(step.words).get("program", ""))
        elif record["ev"] == "exit":
            yield record, out_of_memory or str(record.get("program")) in disturbed


def _runs(scenario: Scenario, name: str) -> set[str]:
    """Return the programs that the plan starts under the role `name`: the `run` key of a spawn step chooses another."""
    runs = {str(step.keys.get("run", name)) for step in scenario.file.plan.steps if step.keys.get("program") == name}
    return runs | {name}


def _expected(evidence: Evidence) -> Iterator[str]:
    """Yield PROGRAM, or PROGRAM/COMM, whose end the plan waits for, or which it sends a signal other than SIGCONT."""
    for step in evidence.plan.steps:
        words = dict(step.words)
        if step.verb == "wait_exit" or _sends(step):
            yield "/".join(words[key] for key in ("program", "comm") if key in words)
        if step.verb == "wait_any":
            yield from (value for key, value in step.words if key == "exit")


def _sends(step: RenderedStep) -> bool:
    """Return whether a step sends a signal other than SIGCONT."""
    return step.verb == "signal" and dict(step.words).get("signal", "").removeprefix("SIG") != "CONT"


def _how(record: Any) -> str:
    if record.get("signal"):
        return f"was ended by SIG{record['signal']}"
    code = record.get("code")
    return f"ended with status {code}" if isinstance(code, int) and code else ""


def _last_words(evidence: Evidence, program: str) -> str:
    lines = [str(line.get("text")) for line in evidence.records.of("line") if line.get("program") == program]
    return f": {lines[-1][:200]}" if lines else ""
