# SPDX-License-Identifier: MIT
"""Judge a run: evaluate each claim over the evidence, and derive the verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rig.run.document import Claimed, ClaimVerdict, Shown, Verdict
from rig.scenario.compare_reports import Compared, compare_reports
from rig.scenario.conditions import NO_OOM, REFUSED, built_in, kill_by_agent, refused_fork, unforeseen_oom
from rig.scenario.confirmed import judge_confirmed
from rig.scenario.cross_check import AGREES, cross_check
from rig.scenario.evidence import CLOCK_SLACK
from rig.scenario.expressions import AbsentSubject, Undecidable, evaluate
from rig.scenario.templates import render
from rig.scenario.views import View
from rig.scenario.vocabulary import from_records, functions_of, names_of
from rig.units import format_megabytes

if TYPE_CHECKING:
    from rig.scenario.evidence import Evidence
    from rig.scenario.load import CheckedClaim, Scenario

__all__ = ["Judgement", "judge_claims", "judge_scenario", "show_value"]

PLAN_CLAIM = "plan-ran"
NOT_JUDGED = "not judged:"


@dataclass(frozen=True)
class Judgement:
    """The judged claims and the verdict.

    reason: one sentence that says why the verdict is `invalid` or `error`; otherwise empty.
    """

    claims: tuple[Claimed, ...]
    verdict: Verdict
    reason: str = ""


def judge_scenario(scenario: Scenario, evidence: Evidence) -> Judgement:
    """Judge every claim of `scenario` over `evidence`, after the built-in conditions.

    Does not raise for anything that the guest reported or failed to report: that becomes a claim's verdict and reason.
    """
    compared = compare_reports(evidence)
    judged = judge_confirmed(partial(_judge_all, scenario), evidence, compared)
    failed = {claim.id for claim in judged if claim.verdict == "failed"}
    # Such a claim's failure explains a plan that stopped early (schema.py): it is a result, not a fault of the run.
    ends = {checked.claim.id for checked in scenario.claims if checked.claim.ends_the_plan}
    return judge_claims(judged, evidence, compared, excused=bool(failed & (ends | {NO_OOM, REFUSED})))


def _judge_all(scenario: Scenario, evidence: Evidence) -> tuple[Claimed, ...]:
    """Return the scenario's claims, after the built-in conditions and what the scenario does not speak of."""
    names, functions = names_of(evidence), functions_of(evidence)
    done: dict[str, Claimed] = {}
    for checked in scenario.claims:
        done[checked.claim.id] = _judge_claim(checked, evidence, names, functions, done)
    # What the scenario does not speak of and what explains all that it lacks.
    unforeseen = [each for each in (refused_fork(scenario, evidence), unforeseen_oom(scenario, evidence)) if each]
    for cause in unforeseen:
        done = {name: _resting_on(cause, claim) for name, claim in done.items()}
    return (*unforeseen, *built_in(scenario, evidence), *done.values())


def _resting_on(cause: Claimed, claim: Claimed) -> Claimed:
    """Return a claim of a run in which `cause` failed: one that cannot be judged is then no fault of the run."""
    if claim.verdict != "invalid":
        return claim
    return claim.model_copy(update={"verdict": "not-applicable", "reason": f"{NOT_JUDGED} it rests on '{cause.id}'"})


def judge_claims(
    judged: tuple[Claimed, ...],
    evidence: Evidence,
    compared: Compared,
    *,
    excused: bool = False,
    only_first_kill: bool = False,
) -> Judgement:
    """Return the judgement of claims that the caller has judged, with the conditions that every run has.

    They are that the plan ended, and that the kernel itself wrote the log's reports.

    compared: how the console's reports compare with the kernel's own lines.
    excused: whether a step that failed is the expected result, so that it does not make the run invalid.
    only_first_kill: whether no claim rests on kills after the first.
    """
    own = [
        _plan_claim(evidence, excused),
        cross_check(evidence, compared),
        kill_by_agent(evidence, only_first=only_first_kill),
    ]
    claims = (*(claim for claim in own if claim is not None), *judged)
    return Judgement(claims, *_verdict(claims, evidence))


def _plan_claim(evidence: Evidence, excused: bool) -> Claimed:
    """Judge the condition that every run has: the plan ran to its end, or the kernel panicked first."""
    end, steps = evidence.end(), evidence.records.of("step")
    reason = ""
    verdict: ClaimVerdict = "held"
    values: list[Shown] = []
    if end is not None:
        values.append(Shown(name="end", value=end.get("reason"), shown=str(end.get("reason"))))
        if end.get("reason") == "bad-plan":
            reason, verdict = _bad_plan(evidence), "failed"
        elif end.get("reason") == "step-failed":
            reason = _failed_step(evidence, steps[-1] if steps else {}, end)
            verdict = "not-applicable" if excused else "failed"
    elif evidence.panics():
        values.append(Shown(name="end", value="panic", shown="panic"))
    else:
        verdict, reason = "failed", "the agent never said that the plan had ended"
    return Claimed(
        id=PLAN_CLAIM,
        text="the plan ran to its end, or to the kernel's panic",
        kind="condition",
        verdict=verdict,
        values=tuple(values),
        reason=reason,
    )


def _bad_plan(evidence: Evidence) -> str:
    problems = [f"line {record.get('line')}: {record.get('problem')}" for record in evidence.records.of("bad_plan")]
    return f"the agent refused the plan: {'; '.join(problems[:5])}"


def _failed_step(evidence: Evidence, step: Mapping[str, Any], end: Mapping[str, Any]) -> str:
    index = step.get("i", end.get("step"))
    text = ""
    if isinstance(index, int) and 0 <= index < len(evidence.plan.steps):
        text = f" ({evidence.plan.steps[index].text()})".replace("\t", " ")
    why = step.get("error") or step.get("errno") or "it failed"
    saw = step.get("saw")
    return f"step {index}{text}: {why}" + (f"; seen instead: {saw}" if saw else "") + _after_oom(evidence, step)


def _after_oom(evidence: Evidence, step: Mapping[str, Any]) -> str:
    """Return that the kernel had killed somebody before the step failed, and what to do; empty if it had not."""
    failed = step.get("t")
    for report in evidence.ooms():
        before = report.time is None or not isinstance(failed, int | float) or report.time <= failed + CLOCK_SLACK
        if report.kills and before:
            killed = ", ".join(f"{kill.comm} ({kill.pid})" for kill in report.kills)
            where = "its cgroup" if report.scope == "memcg" else "the guest (--memory)"
            return (
                f"; memory had run out before, line {report.line} of console.log, and the kernel killed {killed}:"
                f" give {where} more memory, or the programs less"
            )
    return ""


def _judge_claim(
    checked: CheckedClaim,
    evidence: Evidence,
    names: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]],
    done: Mapping[str, Claimed],
) -> Claimed:
    claim = checked.claim
    values: list[Shown] = []

    def result(verdict: ClaimVerdict, reason: str = "") -> Claimed:
        text = render(claim.text, evidence.settings.context(), where=f"claim '{claim.id}'")
        return Claimed(
            id=claim.id,
            text=text,
            kind=claim.kind,
            verdict=verdict,
            values=tuple(values),
            expr=checked.expr.text,
            reason=reason,
        )

    # `needs` names claims above this one (schema.py), so they are judged already.
    for need in claim.needs:
        if done[need].verdict == "failed" or done[need].reason.startswith(NOT_JUDGED):
            return result("not-applicable", f"{NOT_JUDGED} it rests on '{need}'")
    scope = dict(names)
    try:
        if checked.when is not None and not evaluate(checked.when, scope, functions):
            return result("not-applicable", f"it applies when {checked.when.text}")
        lost = _lost(checked, evidence)
        if lost:
            return result("invalid", lost)
        for name, expression in checked.values.items():
            scope[name] = evaluate(expression, scope, functions)
            values.append(_shown(name, scope[name], claim.values[name].unit))
        holds = evaluate(checked.expr, scope, functions)
    except AbsentSubject as error:
        return result("failed", str(error))
    except Undecidable as error:
        return result("invalid", str(error))
    if not isinstance(holds, bool):
        return result("invalid", f"the expression is neither true nor false, but {show_value(_plain(holds), '')}")
    return result("held" if holds else "failed")


LINES = frozenset(("lines", "lines_of", "said"))


def _lost(checked: CheckedClaim, evidence: Evidence) -> str:
    """Return why lost records keep the claim from being judged, or an empty text."""
    records = evidence.records
    if records.left_out and checked.names & LINES:
        return f"it rests on what programs printed, and {records.left_out} lines of that were left out"
    if records.complete or not checked.names & from_records():
        return ""
    if records.lost:
        return f"it rests on the agent's records, and {records.lost} of them were lost"
    return f"it rests on the agent's records, and {records.bad_lines} of the lines were not readable"


def _verdict(claims: tuple[Claimed, ...], evidence: Evidence) -> tuple[Verdict, str]:
    by_id = {claim.id: claim for claim in claims}
    refused = (evidence.end() or {}).get("reason") == "bad-plan"
    unfinished = evidence.end() is None and not evidence.panics()
    said = by_id.get(AGREES)
    if unfinished and evidence.panicked and said is not None and said.verdict == "failed":
        # The plan ended by a panic that the console does not show.
        return "invalid", f"{AGREES}: {said.reason}"
    if refused or unfinished:
        return "error", by_id[PLAN_CLAIM].reason
    for claim in claims:
        if claim.kind == "condition" and claim.verdict == "failed":
            return "invalid", f"{claim.id}: {claim.reason or claim.text + ': this did not hold'}"
        if claim.verdict == "invalid":
            return "invalid", f"{claim.id} cannot be judged: {claim.reason}"
    if any(claim.verdict == "failed" for claim in claims):
        return "not-reproduced", ""
    return "reproduced", ""


def _shown(name: str, value: Any, unit: str) -> Shown:
    plain = _plain(value)
    return Shown(name=name, value=plain, unit=unit, shown=show_value(plain, unit))


def _plain(value: Any) -> Any:
    """Return the value in types that JSON has; of a list the first 50 items."""
    if isinstance(value, View):
        return {field: _plain(value[field]) for field in value if not isinstance(value[field], View)}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in list(value)[:50]]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def show_value(value: Any, unit: str) -> str:
    """Return a value for display: bytes and kB in megabytes, others with their unit."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {True: "yes", False: "no", None: "none"}.get(value, str(value))  # type: ignore[arg-type] # str falls through
    if isinstance(value, list):
        return ", ".join(show_value(item, unit) for item in value) or "none"
    if isinstance(value, dict):
        return " ".join(f"{name}={show_value(item, '')}" for name, item in value.items())
    match unit:
        case "bytes" | "kB":
            return _megabytes(value * (1 if unit == "bytes" else 1024))
        case "percent":
            return f"{value:.1f} %"
        case "":
            return f"{value:g}" if isinstance(value, float) else str(value)
        case _:
            return (f"{value:,.6g}" if isinstance(value, float) else f"{value:,}") + f" {unit}"


def _megabytes(count: float) -> str:
    if abs(count) >= 1 << 20:
        return format_megabytes(count)
    return f"{count / 1024:.0f} kB"
