# SPDX-License-Identifier: MIT
"""What a change did, from the run with it beside the control."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.cure.outcome import Observed, compare_runs, observe
from rig.run.document import Run
from rig.run.records import Records

CONTROL = Observed(
    began=6.0, failed=256.0, victims=("hog",), panicked=False, refusals=(), stalled=0.0, stall_cause="",
    available=450_000, ended=257.0, lines={("writer", "step 1"): 40.0, ("writer", "step 7"): 220.0},
)  # fmt: skip


def kind(**changes: object) -> str:
    return compare_runs(CONTROL, replace(CONTROL, **changes)).kind  # type: ignore[arg-type] # of the tests below


def test_same_kill_at_the_same_time_is_no_difference() -> None:
    assert kind() == "no difference"


def test_run_without_a_kill_is_prevented() -> None:
    assert kind(failed=None, victims=()) == "prevented"


def test_call_that_is_refused_in_place_of_the_kill_is_named() -> None:
    outcome = compare_runs(CONTROL, replace(CONTROL, failed=None, victims=(), refusals=("fork of writer",)))

    assert (outcome.kind, outcome.detail) == ("refused earlier", "fork of writer")


def test_other_victim_is_named() -> None:
    outcome = compare_runs(CONTROL, replace(CONTROL, victims=("parent",)))

    assert (outcome.kind, outcome.detail) == ("another died", "parent")


@pytest.mark.parametrize("tied", [(("parent",), ()), ((), ("hog",))])
def test_other_victim_of_a_tie_is_no_difference(tied: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    control, run = replace(CONTROL, tied=tied[0]), replace(CONTROL, victims=("parent",), tied=tied[1])

    outcome = compare_runs(control, run)

    assert (outcome.kind, outcome.detail) == ("no difference", "parent died, in a tie with hog")


@pytest.mark.parametrize(("failed", "expected"), [(300.0, "later"), (200.0, "worse"), (260.0, "no difference")])
def test_time_of_the_kill_counts_from_a_tenth_on(failed: float, expected: str) -> None:
    assert kind(failed=failed) == expected


def test_stall_in_place_of_a_kill_is_no_success() -> None:
    outcome = compare_runs(CONTROL, replace(CONTROL, failed=None, victims=(), stalled=74.0, stall_cause="throttled"))

    assert (outcome.kind, outcome.detail) == ("stalled", "74 s, throttled")


def test_panic_and_more_victims_are_worse() -> None:
    assert kind(panicked=True, victims=()) == "worse"
    assert kind(victims=("hog", "parent")) == "worse"


def test_change_that_could_not_be_made_says_nothing() -> None:
    outcome = compare_runs(CONTROL, replace(CONTROL, problem="write: ENOENT"))

    assert (outcome.kind, outcome.detail) == ("not applicable", "write: ENOENT")


def test_refused_commitment_is_cured_when_nothing_is_refused() -> None:
    refused = replace(CONTROL, failed=None, victims=(), refusals=("fork of writer",))

    assert compare_runs(refused, replace(refused, refusals=())).kind == "prevented"
    assert compare_runs(refused, refused).kind == "no difference"
    assert compare_runs(refused, CONTROL).kind == "worse"


def test_costs_are_memory_and_time_against_the_control() -> None:
    slow = {("writer", "step 1"): 40.0, ("writer", "step 7"): 400.0, ("writer", "step 8"): 500.0}
    outcome = compare_runs(CONTROL, replace(CONTROL, failed=None, victims=(), available=400_000, lines=slow))

    assert (outcome.unusable_kb, outcome.slowdown) == (50_000, 2.0)


@pytest.mark.parametrize(
    ("victim", "expected"),
    [("hog", ("no difference", "hog, by earlyoom at -56 s")), ("parent", ("another died", "parent, by earlyoom"))],
)
def test_kill_by_a_program_is_told_from_the_kernels(victim: str, expected: tuple[str, str]) -> None:
    outcome = compare_runs(CONTROL, replace(CONTROL, victims=(victim,), failed=200.0, killer="earlyoom"))

    assert (outcome.kind, outcome.detail) == expected


def test_victim_of_a_user_space_killer_is_read_from_what_it_prints() -> None:
    line = {"ev": "line", "n": 3, "t": 90.0, "program": "earlyoom"}
    text = 'sending SIGTERM to process 84 uid 0 "hog": badness 800, VmRSS 203 MiB'
    records = Records(items=({**line, "text": "mem total: 480 MiB"}, {**line, "text": text}))

    observed = observe(Run(id="x", scenario="x", started="", verdict="reproduced"), records)

    assert (observed.victims, observed.failed, observed.killer) == (("hog",), 90.0, "earlyoom")


@pytest.mark.parametrize(
    ("said", "counted", "expected"),
    [
        ("fork: ENOMEM", (1, 2), ("fork of writer",)),
        # The program was refused nothing: the kernel counted none.
        ("fork: ENOMEM", (1, 1), ()),
        ("step 1", (0, 3), ("fork of a program that does not say so",)),
        # A kernel that does not count, and a call that is not counted.
        ("fork: ENOMEM", None, ("fork of writer",)),
        ("mmap: ENOMEM", (1, 1), ("mmap of writer",)),
    ],
)
def test_refused_forks_are_those_that_the_kernel_counted(
    said: str, counted: tuple[int, int] | None, expected: tuple[str, ...]
) -> None:
    go, end = ({} if counted is None else {"refused_forks": count} for count in counted or (0, 0))
    records = Records(
        items=(
            {"ev": "go", "n": 1, "t": 0.0, **go},
            {"ev": "line", "n": 2, "t": 1.0, "program": "writer", "text": said},
            {"ev": "end", "n": 3, "t": 2.0, **end},
        )
    )

    assert observe(Run(id="x", scenario="x", started="", verdict="reproduced"), records).refusals == expected
