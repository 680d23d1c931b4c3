# SPDX-License-Identifier: MIT
"""Mutants of the checks: what counts as caught, and what does not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.verify import mutants
from rig.verify.check import Facts
from rig.verify.checks import catalogue
from rig.verify.measure import Task
from rig.verify.mutants import Kept, Mutant, find_untested, judge_mutant, make_tasks

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


def test_mutant_whose_program_crashed_is_not_caught() -> None:
    mutant = judge_mutant(TASK, Facts({"broken": "139"}))

    assert (mutant.caught, mutant.why) == (False, "broken: its process reported 139")


def test_mutant_that_did_not_report_a_fact_is_not_caught() -> None:
    facts = {name: value for name, value in GOOD.items() if name != "charged"}

    assert not judge_mutant(TASK, Facts(facts)).caught


def test_mutant_whose_program_crashed_after_its_condition_was_read_back_as_absent_is_caught() -> None:
    assert judge_mutant(TASK, Facts({"resident": "8192", "broken": "139"})).caught


def test_mutant_that_cannot_be_measured_without_its_condition_is_caught_by_that_reason_alone() -> None:
    task = Task(catalogue()["hugetlb-free"], "pool")

    assert judge_mutant(task, Facts({"pool": "0", "broken": "mmap-ENOMEM"})).caught
    assert not judge_mutant(task, Facts({"pool": "0", "broken": "139"})).caught


def test_required_fact_that_no_mutant_changes_is_named() -> None:
    # Of `dontneed` two facts are required: touched=8192 and resident=0.
    never_touched = Facts({**GOOD, "touched": "0"})
    never_given_back = Facts({**GOOD, "resident": "8192"})

    assert find_untested(TASK.check, [never_touched, never_given_back]) == []
    assert [each.why for each in find_untested(TASK.check, [never_given_back])] == ["no mutant changes touched"]
    # A mutant that did not report the fact shows nothing about it.
    assert len(find_untested(TASK.check, [Facts({"broken": "139"})])) == 2


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


def test_what_was_caught_is_read_where_the_kernel_has_a_blank_and_the_last_line_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "mutants"

    Kept(file, "/my kernels/bzImage").add([Mutant("brk~above", True, "fail"), Mutant("exec~mode", True, "fail")])
    Kept(file, "debian:sid").add([Mutant("exec~mode", True, "fail")])
    file.write_text(file.read_text() + "debian:sid")
    bare = Kept(file, "debian:sid").titles
    file.write_text(file.read_text() + " brk~abo")

    assert bare == Kept(file, "debian:sid").titles == {"exec~mode"}
    assert Kept(file, "/my kernels/bzImage").titles == {"brk~above", "exec~mode"}


KERNEL = SimpleNamespace(release="6.12.1", spec="debian:trixie")


@pytest.fixture
def no_guest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the program list two checks, of which one has a condition, and let nothing be measured."""

    async def measured(lab: object, tasks: list[Task]) -> dict[str, dict[str, str]]:
        raise AssertionError(f"{tasks} must not be run")

    monkeypatch.setenv("RIG_CACHE", str(tmp_path))
    monkeypatch.setattr(mutants, "build_guest_code", lambda store: SimpleNamespace(programs={mutants.PROGRAM: None}))
    monkeypatch.setattr(mutants, "find_parts", lambda *_: SimpleNamespace(kernel=KERNEL))
    monkeypatch.setattr(mutants, "list_conditions", lambda program: {"brk": [], "dontneed": ["madvise"]})
    monkeypatch.setattr(mutants, "measure", measured)


@pytest.mark.usefixtures("no_guest")
@pytest.mark.parametrize("kept", [[], ["--kept", "kept"]])
def test_checks_without_a_condition_are_an_error(
    kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert mutants.main([*kept, "brk"]) == 3

    assert "rig: there is no mutant of brk: " in capsys.readouterr().err


@pytest.mark.usefixtures("no_guest")
def test_call_whose_mutants_were_all_caught_before_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Kept(tmp_path / "kept", "debian:trixie").add([Mutant("dontneed~madvise", True, "fail")])

    assert mutants.main(["--kept", str(tmp_path / "kept"), "brk", "dontneed"]) == 0

    assert "0 mutants, 0 survived, 1 were caught before" in capsys.readouterr().out
