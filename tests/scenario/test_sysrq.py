# SPDX-License-Identifier: MIT
"""A kill that SysRq f asked for is no shortage of memory, so no claim may rest on it."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console, Group

from rig.klog import read
from rig.klog.explain import explain
from rig.report.terminal import render_run
from rig.scenario.build_run import build_run
from rig.scenario.judge import judge_scenario
from rig.scenario.plan import RenderedStep
from tests.scenario.recorded import Recorded, recorded


def by_sysrq(name: str = "overcommit-oops") -> Recorded:
    """Return the run with the order that out_of_memory() is called with by SysRq f (moom_callback())."""
    run = recorded(name)
    records = [{**each, "text": ordered(each["text"])} if each["ev"] == "kmsg" else each for each in run.records]
    return replace(run, console=ordered(run.console.decode()).encode(), records=tuple(records))


def ordered(text: str) -> str:
    return text.replace("order=0, oom_score_adj", "order=-1, oom_score_adj")


def test_kill_by_sysrq_makes_the_run_invalid() -> None:
    judgement = by_sysrq().judged()

    assert judgement.verdict == "invalid"
    assert judgement.reason.startswith("no-kill-by-sysrq: line 3 of console.log: SysRq f asked for the kill of ")
    assert "memory had not run out" in judgement.reason


def test_kill_by_sysrq_that_the_plan_asks_for_is_foreseen() -> None:
    run, evidence = by_sysrq(), by_sysrq().evidence()
    step = RenderedStep("write", (("path", "/proc/sysrq-trigger"), ("value", "f")))
    plan = replace(evidence.plan, steps=(*evidence.plan.steps, step))

    judged = judge_scenario(run.scenario, replace(evidence, plan=plan))

    assert "no-kill-by-sysrq" not in {claim.id for claim in judged.claims}


def test_shortage_is_no_kill_by_sysrq() -> None:
    assert "no-kill-by-sysrq" not in {claim.id for claim in recorded("overcommit-oops").judged().claims}


def test_report_of_the_run_says_sysrq_and_no_request() -> None:
    run, out = by_sysrq(), io.StringIO()
    built = build_run(run.scenario, run.evidence(), run.judged(), id="x", started="")

    Console(file=out, width=160).print(Group(*render_run(built)))

    assert "SysRq f called the OOM killer: memory had not run out" in out.getvalue()
    assert "it asked for 2^" not in out.getvalue()


def test_explanation_says_that_nothing_was_asked_for() -> None:
    event = next(event for event in read([by_sysrq().console]).events)

    sections = {section.title: section for section in explain(event).sections}

    assert [each.text for each in sections["Why it could not be had"].sentences] == [
        "Nothing was asked for: SysRq f kills whether or not memory is short."
    ]
