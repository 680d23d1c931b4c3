# SPDX-License-Identifier: MIT
"""What a program took from the machine that the plan had made, and no file shows that the plan wrote."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rig.run.document import Claimed
from rig.scenario.judge import judge_scenario
from rig.scenario.plan import RenderedStep
from tests.scenario.recorded import Recorded, recorded

NAME = "overcommit-oops"


def with_end(run: Recorded, **fields: Any) -> Recorded:
    return run.with_records({**each, **fields} if each["ev"] == "end" else each for each in run.records)


def held(run: Recorded, *steps: RenderedStep) -> Claimed | None:
    """Return the condition that the settings held, of a run whose plan had these steps too."""
    evidence = run.evidence()
    evidence = replace(evidence, plan=replace(evidence.plan, steps=(*evidence.plan.steps, *steps)))
    judged = judge_scenario(run.scenario, evidence)
    return next((claim for claim in judged.claims if claim.id == "settings-held"), None)


SWAPON = RenderedStep("swapon", (("zram", "67108864"),))


def test_swap_that_a_program_turned_off_makes_the_run_invalid() -> None:
    run = recorded(NAME)
    had = run.with_records(
        {**each, "meminfo": {**each["meminfo"], "SwapTotal": 65532}} if each["ev"] == "sample" else each
        for each in run.records
    )

    claim = held(with_end(had, swap_total_kb=0), SWAPON)

    assert claim is not None
    assert claim.verdict == "failed"
    assert "the guest had 64.0 MB of swap at " in claim.reason
    assert held(with_end(had, swap_total_kb=65532), SWAPON) is None


def test_swap_that_was_off_before_the_first_sample_makes_the_run_invalid() -> None:
    run = recorded("prefault", "swap")
    off = run.with_records(
        {**each, "meminfo": {**each["meminfo"], "SwapTotal": 0}} if each.get("meminfo") else each
        for each in run.records
    )

    claim = held(off)

    assert claim is not None
    assert claim.verdict == "failed"
    assert "of swap at first, and 0.0 MB at " in claim.reason


def test_swap_of_a_programs_own_may_go() -> None:
    run = recorded(NAME)
    had = run.changed("sample", lambda sample: sample["meminfo"].update(SwapTotal=65532))

    assert held(with_end(had, swap_total_kb=0)) is None


def test_memory_that_was_taken_offline_makes_the_run_invalid() -> None:
    claim = held(with_end(recorded(NAME), mem_total_kb=1000))

    assert claim is not None
    assert claim.verdict == "failed"
    assert "of memory" in claim.reason


def test_process_that_left_its_cgroup_makes_the_run_invalid() -> None:
    run = recorded("overcommit-in-cgroup")
    left = {"ev": "left_cgroup", "t": run.records[-1]["t"], "program": "child-app", "comm": "child", "pid": 83}
    moved = run.with_records([*run.records[:-1], {**left, "cgroup": "service", "now": ""}, run.records[-1]])

    claim = held(moved)

    assert claim is not None
    assert claim.verdict == "failed"
    assert claim.reason == "child (83) had left the cgroup service for /"


@pytest.mark.parametrize(("group", "said"), [("/service", False), ("/service/a", False), ("/services", True)])
def test_kill_in_another_cgroup_than_the_plans_is_said(group: str, said: bool) -> None:
    run = recorded(NAME)
    victim = run.evidence().ooms()[0].kills[0]
    program = next(each["program"] for each in run.records if each["ev"] == "spawn" and each["pid"] == victim.pid)
    console = run.console.replace(b"task_memcg=/,", f"task_memcg={group},".encode())
    records = [
        {**each, "text": each["text"].replace("task_memcg=/,", f"task_memcg={group},")} if "text" in each else each
        for each in run.records
    ]
    spawn = RenderedStep("spawn", (("program", program), ("cgroup", "service")))

    claim = held(replace(run, console=console, records=tuple(records)), spawn)

    assert (claim is not None) == said
    assert claim is None or claim.reason.endswith(
        f"was killed in the cgroup {group}, and the plan had put it into service"
    )


def test_setting_that_a_program_wrote_and_set_back_is_not_known() -> None:
    run = recorded(NAME, "refused")
    name = next(each["name"] for each in run.records if each["ev"] == "sysctl_at_end")
    blinked = run.with_records(
        {**each, "written": True} if each["ev"] == "sysctl_at_end" and each["name"] == name else each
        for each in run.records
    )

    claim = held(blinked)

    assert claim is not None
    assert claim.verdict == "invalid"
    assert claim.reason == f"a program wrote to {name} after the plan had set it: what it was for a while is not known"
