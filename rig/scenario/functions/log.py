# SPDX-License-Identifier: MIT
"""Functions of claims over the kernel's log: the path of a trace, who was ranked how, the watermarks."""

from __future__ import annotations

from typing import Any

from rig.scenario.declare import function
from rig.scenario.evidence import Evidence
from rig.scenario.views import AbsentEvent, MissingRecord, thing_of, view

__all__: list[str] = []

WATERMARKS = ("free", "min", "low", "high")


@function("log", "path(oom)[-1] == 'asm_exc_page_fault'")
def path(evidence: Evidence, oom: Any) -> tuple[str, ...]:
    """the functions of a trace, innermost first, without the frames marked `?`"""
    return tuple(frame.function for frame in _event(oom).trace.frames if frame.reliable)


@function("log", "in_path(oom, 'copy-on-write') == 'wp_page_copy'")
def in_path(evidence: Evidence, oom: Any, part: str) -> str:
    """the function of the trace that plays a part, or `''`: `page-fault`, `fault-handler`, `copy-on-write`,
    `allocation`, `oom` (rig/klog/functions.py)
    """
    from rig.klog.functions import part_of

    return next((function for function in path(evidence, oom) if part_of(function) == part), "")


@function("log", "purpose(oom) == 'copy-on-write'")
def purpose(evidence: Evidence, oom: Any) -> str:
    """why memory was requested, by the trace: `anonymous`, `copy-on-write`, `file-read`, `fork`, `slab`, …
    (PURPOSES in rig/klog/functions.py), `zero-page`, `fault`, or `''`
    """
    from rig.klog.explain.asked import purpose as purpose_of_request

    return purpose_of_request(_event(oom))[0]


@function("log", "candidates(oom)[0].pid == oom.victim.pid")
def candidates(evidence: Evidence, oom: Any) -> Any:
    """the task table, worst first: `.pid`, `.name`, `.points`, `.rss`, `.swap`, `.page_tables` (pages),
    `.oom_score_adj`
    """
    return view(evidence.ranking(_event(oom)), "candidates")


@function("log", "badness_of(oom, oom.victim.pid) > 50000")
def badness_of(evidence: Evidence, oom: Any, pid: int) -> int:
    """a task's points"""
    for candidate in evidence.ranking(_event(oom)):
        if candidate.pid == pid:
            return candidate.points or 0
    raise MissingRecord(f"the report's task table has no process {pid}")


@function("records", "badness_slack() == 256 and kernel.major == 6")
def badness_slack(evidence: Evidence) -> int:
    """by how many pages two badnesses may differ and still be a tie"""
    return evidence.slack()


@function("log", "watermarks(oom).min < watermarks(oom).low < watermarks(oom).high")
def watermarks(evidence: Evidence, oom: Any) -> Any:
    """the zones' sums of `.free`, `.min`, `.low` and `.high` at the OOM, in kB, without the boost"""
    zones = tuple(_event(oom).zones)
    if not zones:
        raise MissingRecord("the OOM report has no lines about the zones")
    # The printed marks contain the boost, which reclaim adds for a while and takes back before an OOM.
    boost = sum(int(zone.values.get("boost", 0)) for zone in zones)
    marks = {field: sum(int(getattr(zone, field) or 0) for zone in zones) for field in WATERMARKS}
    sums = {field: value if field == "free" else value - boost for field, value in marks.items()}
    return view(sums, "watermarks")


def _event(seen: Any) -> Any:
    event = thing_of(seen)
    if event is None:
        raise AbsentEvent("there was no OOM")
    return event
