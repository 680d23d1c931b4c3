# SPDX-License-Identifier: MIT
"""What a prefix is named by, and how a run goes on from one."""

from __future__ import annotations

from dataclasses import replace

from rig.branch.changes import continued, counted_steps
from rig.branch.prefix_key import PrefixKey, prefix_keys
from rig.image.payload import Payload
from rig.scenario.plan import RenderedPlan, RenderedStep

SPAWN = RenderedStep("spawn", (("program", "p"), ("arg", "1")), 0)
BRANCH = RenderedStep("branch", (("name", "here"),), 1)
WAIT = RenderedStep("wait_line", (("program", "p"), ("text", "x"), ("timeout", "5")), 2)
SLEEP = RenderedStep("sleep", (("seconds", "1"),), 3)


def plan_of(*steps: RenderedStep) -> RenderedPlan:
    return RenderedPlan(steps, ())


def keys_of(plan: RenderedPlan, *, snapshot: str = "s", texts: dict[str, str] | None = None) -> list[PrefixKey]:
    return prefix_keys(plan, snapshot, Payload(plan=plan.text(), texts=texts or {}), [])


def test_plans_that_differ_after_the_point_share_a_prefix() -> None:
    [one] = keys_of(plan_of(SPAWN, BRANCH, SLEEP))
    [other] = keys_of(plan_of(SPAWN, BRANCH, replace(SLEEP, words=(("seconds", "2"),)), SLEEP))

    assert one == other
    assert (one.point, one.index) == ("here", 1)


def test_what_shapes_the_past_makes_another_prefix() -> None:
    plan = plan_of(SPAWN, BRANCH, SLEEP)
    same = keys_of(plan)

    assert keys_of(plan_of(replace(SPAWN, words=(("program", "p"), ("arg", "2"))), BRANCH, SLEEP)) != same
    assert keys_of(plan, snapshot="another guest") != same
    assert keys_of(plan, texts={"bin/p": "another program"}) != same


def test_point_that_ends_the_plan_ends_no_prefix() -> None:
    assert keys_of(plan_of(SPAWN, BRANCH)) == []


def test_wait_that_goes_on_keeps_the_count_of_the_plan_that_was_saved() -> None:
    saved = plan_of(SPAWN, BRANCH, SLEEP, WAIT)
    own = plan_of(SPAWN, BRANCH, WAIT)

    text = continued(own.steps, 2, counted_steps(saved.steps))

    assert text == f"{WAIT.text()}\twas=3\n"
