# SPDX-License-Identifier: MIT
"""`rig compare` prints two runs side by side."""

from __future__ import annotations

import io

from rich.console import Console

from rig.report.compare import compare, comparison
from rig.run.document import Run
from rig.scenario.build_run import build_run
from tests.scenario.made import CHILD, Made


def run_of(made: Made, run_id: str) -> Run:
    scenario, evidence = made.evidence()
    return build_run(scenario, evidence, made.judged(), id=run_id, started="2025-01-31T12:00:00+00:00")


def differing(left: Run, right: Run) -> dict[str, tuple[str, str]]:
    return {line.name.strip(): (line.left, line.right) for line in compare(left, right) if line.differs}


def test_run_does_not_differ_from_itself() -> None:
    assert differing(run_of(Made(), "a"), run_of(Made(), "b")) == {}


def test_parameter_victim_claim_and_number_that_differ_are_found() -> None:
    left = run_of(Made(), "a")
    right = run_of(Made(sets=("every=5s",), victim=("child", CHILD), fork_cost_kb=204800), "b")

    found = differing(left, right)

    assert found["every"] == ("30s", "5s")
    assert found["killed"] == ("hog, in a tie with child and parent", "child, in a tie with hog and parent")
    assert found["fork-cost-little"] == ("✓ held", "✗ failed")
    assert found["cost"] == ("600 kB", "200.0 MB")
    assert found["verdict"] == ("reproduced", "not-reproduced")


def test_what_only_one_run_has_is_shown_as_absent_in_the_other() -> None:
    found = differing(run_of(Made(), "a"), run_of(Made(sets=("vm.swappiness=10",)), "b"))

    assert found["vm.swappiness"] == ("–", "10")


def test_table_marks_the_differences_and_counts_them() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=160)

    for part in comparison(run_of(Made(), "a"), run_of(Made(sets=("every=5s",)), "b"), everything=False):
        console.print(part)

    assert "≠" in stream.getvalue()
    assert "1 of " in stream.getvalue()
    assert "hog-hogs" not in stream.getvalue()


def test_warp_beside_live_says_why_live_has_less_memory() -> None:
    warp = run_of(Made(), "a")
    live = warp.model_copy(update={"environment": warp.environment.model_copy(update={"clock": "live"})})

    printed = []
    for left, right in ((warp, live), (warp, warp)):
        stream = io.StringIO()
        for part in comparison(left, right):
            Console(file=stream, width=160).print(part)
        printed.append("3 MB less" in stream.getvalue())

    assert printed == [True, False]
