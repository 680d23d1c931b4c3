# SPDX-License-Identifier: MIT
"""Build the `Run` document (run.json) from the collected evidence and the judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig.klog.functions import part_of
from rig.run.document import Collected, EventSummary, Footprint, Frame, OomReport, Ranked, Run, StepResult
from rig.scenario.judge import Judgement

if TYPE_CHECKING:
    from rig.klog import OomEvent
    from rig.scenario.evidence import Evidence
    from rig.scenario.load import Scenario

__all__ = ["build_run"]

# Bounds on run.json: a guest that prints warnings in a loop must not make a document that no reader can load.
MOST_EVENTS = 1000
MOST_REPORTS = 50


def build_run(scenario: Scenario, evidence: Evidence, judgement: Judgement, **known: Any) -> Run:
    """Return the run.

    known: the fields of Run that only the host knows (id, started, environment, command, …); they override the others.
    """
    settings = evidence.settings
    end = evidence.end() or {}
    items = evidence.records.items
    panics = evidence.panics()
    fields: dict[str, Any] = {
        "scenario": scenario.name,
        "scenario_directory": str(scenario.directory),
        "title": scenario.file.title,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "claims": judgement.claims,
        "parameters": dict(settings.parameters),
        "parameters_shown": {
            name: parameter.show(settings.parameters[name]) for name, parameter in scenario.parameters.items()
        },
        "sysctls": dict(settings.sysctls),
        "guest": settings.guest(),
        "settings": dict(settings.given or {}),
        "to_the_end": settings.to_the_end,
        "guest_seconds": float(items[-1]["t"]) if items else None,
        "footprint": _footprint(evidence),
        "heard": _collected(evidence),
        "end_reason": str(end.get("reason", "")) or ("panic" if panics else ""),
        "steps": tuple(_steps(evidence)),
        "roles": {role: pid for pid, role in evidence.roles().items()},
        "events": tuple(_event(event) for event in evidence.log.events[:MOST_EVENTS]),
        "ooms": tuple(_oom(event, evidence) for event in evidence.ooms()[:MOST_REPORTS]),
        "panic": panics[0].reason if panics else None,
    }
    return Run(**{**fields, **known})


def _footprint(evidence: Evidence) -> Footprint:
    ready, end = evidence.ready() or {}, evidence.end() or {}

    def number(record: Any, name: str) -> int | None:
        value = record.get(name)
        return value if isinstance(value, int) else None

    return Footprint(
        agent_rss_kb=number(ready, "agent_rss_kb"),
        agent_rss_at_end_kb=number(end, "agent_rss_kb"),
        mem_total_kb=number(ready, "mem_total_kb"),
        mem_free_kb=number(ready, "mem_free_kb"),
        mem_available_kb=number(ready, "mem_available_kb"),
    )


def _collected(evidence: Evidence) -> Collected:
    records = evidence.records
    return Collected(
        records=len(records.items),
        samples=len(evidence.samples()),
        lost=records.lost,
        bad_lines=records.bad_lines,
        cut_lines=records.cut_lines,
        problems=records.problems,
        cut=records.cut,
    )


def _steps(evidence: Evidence) -> list[StepResult]:
    return [
        StepResult(
            index=step["i"],
            verb=str(step.get("verb", "")),
            ok=step.get("ok") is True,
            time=step["t"],
            took=step.get("took") if isinstance(step.get("took"), int | float) else None,
            error=str(step.get("error") or step.get("errno") or ""),
            saw=str(step.get("saw") or ""),
        )
        for step in evidence.records.of("step")
        if isinstance(step.get("i"), int)
    ]


def _event(event: Any) -> EventSummary:
    return EventSummary(
        kind=event.kind, time=event.time, line=event.line, last_line=event.last_line, summary=event.title
    )


def _oom(oom: OomEvent, evidence: Evidence) -> OomReport:
    ranking = evidence.ranking(oom)
    killed = {kill.pid for kill in oom.kills}
    roles = evidence.roles()
    slack = evidence.slack()
    # Several tasks may be the victim: their badness differs by less than the error of the per-CPU RSS counters.
    worst = max((row.points for row in ranking if row.points is not None), default=0)
    return OomReport(
        time=oom.time,
        line=oom.line,
        invoker=oom.invoker.comm if oom.invoker else "",
        invoker_pid=oom.invoker.pid if oom.invoker else None,
        gfp_flags=tuple(oom.gfp_flags),
        order=oom.order,
        scope=oom.scope or "",
        constraint=oom.constraint,
        frames=tuple(
            Frame(
                function=frame.function,
                offset=frame.offset,
                size=frame.size,
                module=frame.module,
                reliable=frame.reliable,
                role=part_of(frame.function) if frame.reliable else "",
            )
            for frame in oom.trace.frames
        ),
        free_kb=sum(zone.free for zone in oom.zones) if oom.zones else None,
        min_kb=sum(zone.min for zone in oom.zones) if oom.zones else None,
        ranking=tuple(
            Ranked(
                pid=row.pid,
                name=row.name,
                points=row.points,
                rss=row.rss,
                swap=row.swap,
                page_tables=row.page_tables,
                oom_score_adj=row.oom_score_adj,
                killed=row.pid in killed,
                tied=row.points is not None and worst - row.points <= slack,
                ours=row.pid in roles,
            )
            for row in ranking
        ),
        slack_pages=slack,
        killed=tuple(f"{kill.comm} ({kill.pid})" for kill in oom.kills),
    )
