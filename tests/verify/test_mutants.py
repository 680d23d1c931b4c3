# SPDX-License-Identifier: MIT
"""Mutants of the checks: what counts as caught, and what does not."""

from __future__ import annotations

from pathlib import Path

from rig.verify.check import Facts
from rig.verify.checks import catalogue
from rig.verify.measure import Task
from rig.verify.mutants import Kept, Mutant, judge_mutant, make_tasks

TASK = Task(catalogue()["dontneed"], "madvise")
GOOD = {"mapped": "8192", "touched": "8192", "resident": "0", "charged": "8192", "control_unmapped": "0"}


def test_mutant_that_passes_has_survived() -> None:
    assert not judge_mutant(TASK, Facts(GOOD)).caught


def test_mutant_whose_condition_is_read_back_as_absent_is_caught() -> None:
    mutant = judge_mutant(TASK, Facts({**GOOD, "resident": "8192"}))

    assert mutant.caught
    assert "resident is 8192, not 0" in mutant.why


def test_mutant_that_was_not_measured_is_not_caught() -> None:
    mutant = judge_mutant(TASK, Facts({"lost": "the guest did not boot"}))

    assert (mutant.caught, mutant.why) == (False, "not measured: the guest did not boot")


def test_mutant_whose_condition_was_never_asked_for_is_not_caught() -> None:
    assert not judge_mutant(TASK, Facts({**GOOD, "resident": "8192", "not_negated": "madvise"})).caught


def test_mutant_that_does_not_apply_is_not_caught() -> None:
    assert not judge_mutant(TASK, Facts({"na": "ENOSYS"})).caught


def test_each_condition_of_a_check_is_a_mutant() -> None:
    tasks = make_tasks({"dontneed": ["madvise"], "mode2-switch": ["above", "switch"]}, ["mode2-switch"])

    assert [task.title for task in tasks] == ["mode2-switch~above", "mode2-switch~switch"]


def test_what_was_caught_is_kept_for_its_kernel_and_the_rest_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "build" / "mutants"

    Kept(file, "debian:sid").add([Mutant("brk~above", True, "fail"), Mutant("exec~mode", False, "the check is pass")])
    Kept(file, "debian:trixie").add([Mutant("exec~mode", True, "fail")])

    assert Kept(file, "debian:sid").titles == {"brk~above"}
    assert Kept(file, "debian:bookworm").titles == set()
    assert Kept(None, "debian:sid").titles == set()
