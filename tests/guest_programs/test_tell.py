# SPDX-License-Identifier: MIT
"""The verbs tell, wait_time and branch, run by the agent on this machine."""

from __future__ import annotations

from .conftest import step


def test_program_is_told_a_line(run_plan):
    run = run_plan(
        step("spawn", "program=cat", "arg=/bin/cat", "stdin=plan"),
        step("tell", "program=cat", "text=every=5s step=4M"),
        step("wait_line", "program=cat", "text=every=5s step=4M", "timeout=5"),
    )

    assert run.status == 0


def test_program_that_was_not_spawned_for_it_cannot_be_told(run_plan):
    run = run_plan(step("spawn", "program=cat", "arg=/bin/cat"), step("tell", "program=cat", "text=x"))

    assert run.status == 1
    assert run.step(1)["error"] == "cat was spawned without stdin=plan"


def test_moment_that_has_passed_is_not_waited_for(run_plan):
    run = run_plan(step("wait_time", "at=0.5"), step("branch", "name=here"))

    assert run.step(0)["took"] < 1
    assert [record["name"] for record in run.of("branch")] == ["here"]
