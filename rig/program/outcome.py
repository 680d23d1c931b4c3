# SPDX-License-Identifier: MIT
"""Derive how a program ended, and the exit status for it, with the values of docker-run(1) and timeout(1)."""

from __future__ import annotations

import signal
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rig.program.expectation import Expectation
from rig.program.plan import ENDED, STARTED

if TYPE_CHECKING:
    from rig.run.document import Claimed
    from rig.scenario.evidence import Evidence
    from rig.scenario.judge import Judgement

__all__ = ["BROKEN", "NOT_FOUND", "NOT_STARTED", "Outcome", "describe_unmet", "judge_program", "outcome_of"]

TIMED_OUT, BROKEN, NOT_STARTED, NOT_FOUND = 124, 125, 126, 127
# Prefix of the agent's errors that concern the program's file. An error of an earlier stage, such as the root or the
# cgroup, is not the program's and gives the status 125.
EXECVE = "execve"


@dataclass(frozen=True)
class Outcome:
    """The result of a program's run.

    status: exit status of `rig exec`.
    code, signal: exit status of the program, or the signal that ended it, without SIG.
    ooms, stalls: numbers of OOM reports and of memory stalls.
    problem: why the program did not start or did not end; empty otherwise.
    hint: a suggestion for the user.
    """

    status: int
    code: int | None = None
    signal: str = ""
    ooms: int = 0
    problem: str = ""
    stalls: int = 0
    hint: str = ""


def outcome_of(evidence: Evidence) -> Outcome:
    """Return how the program ended, from the agent's records."""
    # Imported on demand, for start-up time: modules that judge are imported while the guest runs.
    from rig.telemetry.stall import find_stalls

    return replace(_how_it_ended(evidence), stalls=len(find_stalls(evidence.records)))


def _how_it_ended(evidence: Evidence) -> Outcome:
    ooms = len(evidence.ooms())
    steps = {step.get("id"): step for step in evidence.steps()}
    started, ended = steps.get(STARTED), steps.get(ENDED)
    if started is None or not started.get("ok"):
        return _not_started(started, ooms)
    pid = next((spawn.get("pid") for spawn in evidence.records.of("spawn")), None)
    for record in evidence.records.of("exit"):
        if record.get("pid") == pid:
            return _ended(record, ooms)
    if ended is not None and not ended.get("ok"):
        return Outcome(
            TIMED_OUT, ooms=ooms, problem=f"it did not end within {_seconds(ended.get('took'))} of the guest's clock"
        )
    return Outcome(BROKEN, ooms=ooms, problem="the guest ended before the program did")


def _seconds(took: Any) -> str:
    return f"{took:.1f} s" if isinstance(took, int | float) else "its time limit"


def _not_started(step: Any, ooms: int) -> Outcome:
    if step is None:
        return Outcome(BROKEN, ooms=ooms, problem="the guest did not get to start it")
    problem = str(step.get("error") or step.get("errno"))
    if not problem.startswith(EXECVE):
        return Outcome(BROKEN, ooms=ooms, problem=f"{problem}: {step.get('errno')}")
    missing = step.get("errno") == "ENOENT" and problem.startswith("execve of")
    return Outcome(NOT_FOUND if missing else NOT_STARTED, ooms=ooms, problem=f"{problem}: {step.get('errno')}")


def _ended(record: Any, ooms: int) -> Outcome:
    name, code = record.get("signal"), record.get("code")
    if isinstance(name, str):
        number = signal.Signals.__members__.get(f"SIG{name}")
        return Outcome(128 + (number or 0), signal=name, ooms=ooms)
    return Outcome(code if isinstance(code, int) else BROKEN, code=code, ooms=ooms)


def meets(expected: Expectation, outcome: Outcome) -> bool:
    """Return whether the outcome is the expected one."""
    match expected.kind:
        case "oom":
            return outcome.ooms > 0
        case "no-oom":
            return outcome.ooms == 0
        case "stall":
            return outcome.stalls > 0
        case "exit":
            return outcome.code is not None and str(outcome.code) == expected.value
        case _:
            return outcome.signal == expected.value


def describe_unmet(expected: Expectation, outcome: Outcome) -> str:
    """Return a sentence on what happened in place of what `--expect` names."""
    if outcome.signal:
        ended = f"SIG{outcome.signal} ended the program"
    elif outcome.code is not None:
        ended = f"the program ended with status {outcome.code}"
    else:
        ended = "the program did not end by itself"
    seen = {
        "oom": "the kernel reported no OOM",
        "no-oom": f"the kernel reported {outcome.ooms} OOM{'' if outcome.ooms == 1 else 's'}",
        "stall": "no stall was seen",
    }
    words = [ended, *([seen[expected.kind]] if expected.kind in seen else [])]
    return f"not as expected (--expect {expected}): {', and '.join(words)}"


def judge_program(evidence: Evidence, expected: Expectation | None) -> Judgement:
    """Judge the run by its expectation; without one, by whether the program started and ended within its time limit."""
    from rig.scenario.compare_reports import compare_reports
    from rig.scenario.confirmed import judge_confirmed
    from rig.scenario.judge import judge_claims

    compared = compare_reports(evidence)
    judged = judge_confirmed(lambda seen: (_claim(outcome_of(seen), expected),), evidence, compared)
    not_started = outcome_of(evidence).status in (NOT_STARTED, NOT_FOUND)
    return judge_claims(judged, evidence, compared, excused=not_started, only_first_kill=True)


def _claim(outcome: Outcome, expected: Expectation | None) -> Claimed:
    from rig.run.document import Claimed, Shown

    values = [
        Shown(name=name, value=value, shown=str(value))
        for name, value in (
            ("exit", outcome.code),
            ("signal", outcome.signal),
            ("OOM reports", outcome.ooms),
            ("stalls", outcome.stalls),
        )
        if value not in (None, "")
    ]
    if expected is None:
        return Claimed(
            id="ended",
            text="The program ran to its end",
            verdict="failed" if outcome.problem else "held",
            values=tuple(values),
            reason=outcome.problem,
        )
    return Claimed(
        id="expected",
        text=expected.sentence,
        verdict="held" if meets(expected, outcome) else "failed",
        values=tuple(values),
        expr=f"--expect {expected}",
        reason=outcome.problem,
    )
