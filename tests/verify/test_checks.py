# SPDX-License-Identifier: MIT
"""Each check of the kernel's rules over what kernels reported, and over the same with the rule broken."""

from __future__ import annotations

import dataclasses

import pytest

from rig.verify.check import Facts, judge_all, judge_check, judge_negated
from rig.verify.checks import catalogue
from rig.verify.kernels import tasks_with_controls, with_controls
from rig.verify.recorded import Recorded, read_recorded

CHECKS = catalogue()
RECORDED = read_recorded()
ON_EACH_KERNEL = pytest.mark.parametrize("kernel", RECORDED, ids=lambda kernel: kernel.version)
CASES = [(name, example) for name, check in CHECKS.items() for example in check.counterexamples]


def test_each_check_states_its_rule_and_names_its_sources() -> None:
    assert len(CHECKS) >= 116
    assert all(check.sources and check.rule.endswith(".") for check in CHECKS.values())


def test_checks_were_recorded_on_old_and_new_kernels() -> None:
    assert {kernel.version for kernel in RECORDED} >= {"5.10", "6.1", "6.12"}
    assert RECORDED[-1].release >= (7, 0)


@pytest.mark.parametrize("name", CHECKS)
@ON_EACH_KERNEL
def test_check_passes_on_what_a_kernel_reported(kernel: Recorded, name: str) -> None:
    assert kernel.results()[name].status == "pass"


def test_every_check_has_a_way_to_fail() -> None:
    assert [name for name, check in CHECKS.items() if not check.counterexamples] == []


@pytest.mark.parametrize(("name", "example"), CASES)
@ON_EACH_KERNEL
def test_check_fails_on_a_kernel_that_breaks_its_rule(
    kernel: Recorded, name: str, example: dict[str, str | int]
) -> None:
    result = judge_check(CHECKS[name], kernel.facts(name, **example))

    assert result.status == "fail"
    assert result.why == CHECKS[name].rule


@pytest.mark.parametrize(("name", "fact"), [(name, fact) for name, check in CHECKS.items() for fact in check.given])
def test_check_whose_condition_is_not_in_force_is_broken_not_passed(name: str, fact: str) -> None:
    result = judge_check(CHECKS[name], RECORDED[-1].facts(name, **{fact: "none"}))

    assert result.status == "broken"
    assert fact in result.why


def test_every_control_is_another_check_or_the_check_without_a_condition_or_within() -> None:
    others = {name: check.control for name, check in CHECKS.items() if not check.negated and check.control != "within"}

    assert [name for name, control in others.items() if control not in CHECKS] == []
    assert [name for name, check in CHECKS.items() if check.control == name] == []


def test_check_whose_control_fails_is_broken() -> None:
    kernel = RECORDED[-1]
    blind = {name: judge_check(CHECKS[name], kernel.facts(name)) for name in ("readonly-free", "anon-charged")}
    blind["anon-charged"] = dataclasses.replace(blind["anon-charged"], status="fail")

    results = judge_all(blind)

    assert results["readonly-free"].status == "broken"
    assert results["readonly-free"].why == "its control anon-charged: fail"


def judged_with_control(**facts: str | int) -> str:
    """Return the status of oom-sharers that passes, when its control reports these facts of the same kernel."""
    kernel = RECORDED[-1]
    check = CHECKS["oom-sharers"]
    control = kernel.facts("oom-sharers~vm", **facts)
    results = {"oom-sharers": judge_check(check, kernel.facts("oom-sharers"))}
    return judge_all({**results, "oom-sharers~vm": judge_negated(check, control)})["oom-sharers"].status


def test_check_passes_only_if_it_fails_without_its_condition() -> None:
    assert judged_with_control() == "pass"
    # The twin dies with the victim, although it has memory of its own: the check cannot see the difference.
    assert judged_with_control(killed="large,twin") == "broken"
    assert judged_with_control(lost="the guest did not boot") == "broken"


def test_control_that_panics_shows_no_other_outcome() -> None:
    assert judged_with_control(panics=1, panic="Out of memory") == "broken"

    check = CHECKS["memcg-protected"]
    result = judge_negated(check, Facts({"panics": "1", "panic": "System is deadlocked on memory"}))

    assert (result.status, result.why) == (
        "broken",
        "the kernel panicked without the condition: System is deadlocked on memory",
    )


def test_condition_that_is_read_back_as_absent_is_no_control_by_itself() -> None:
    kernel, check = RECORDED[-1], CHECKS["mempolicy-oom"]
    unbound = kernel.facts("mempolicy-oom", **{"node.eater": -1})

    assert judge_check(check, unbound).status == "broken"
    assert judge_negated(check, unbound).status == "pass"


def test_control_without_a_condition_is_measured_beside_the_check() -> None:
    titles = [task.title for task in tasks_with_controls([CHECKS["oom-sharers"], CHECKS["brk"]])]

    assert titles == ["oom-sharers", "brk", "oom-sharers~vm"]


def test_controls_of_chosen_checks_are_measured_too() -> None:
    names = [check.name for check in with_controls([CHECKS["vfork-free"], CHECKS["brk"]])]

    assert names == ["vfork-free", "brk", "fork-charged"]


@pytest.mark.parametrize("name", CHECKS)
def test_check_without_its_facts_is_broken_not_failed(name: str) -> None:
    assert judge_check(CHECKS[name], Facts({})).status == "broken"


def test_check_of_what_the_kernel_lacks_is_not_applicable() -> None:
    result = judge_check(CHECKS["sysv-shm"], Facts({"na": "ENOSYS"}))

    assert (result.status, result.why) == ("not-applicable", "the kernel reports ENOSYS")


def test_check_whose_process_died_is_broken() -> None:
    assert judge_check(CHECKS["brk"], Facts({"broken": "139"})).status == "broken"


def test_kernel_that_panics_where_it_must_not_fails_the_check() -> None:
    # The program does not live to report whom the kernel killed.
    facts = {"panic_on_oom": "1", "memory.max": str(20 << 20), "ooms": "1", "panics": "1"}

    assert judge_check(CHECKS["panic-1-memcg"], Facts(facts)).status == "fail"


@pytest.mark.parametrize("name", [name for name, check in CHECKS.items() if check.batch != "panic"])
def test_kernel_that_panics_before_anything_is_measured_fails_the_check(name: str) -> None:
    result = judge_check(CHECKS[name], Facts({"ooms": "1", "panics": "1", "panic": "Out of memory"}))

    assert result.status == "fail"
    # A check that needs no number of its program's is judged, and fails by its rule.
    assert result.why in ("the kernel panicked: Out of memory", CHECKS[name].rule)


def test_rule_that_a_commit_changed_is_judged_by_the_kernels_version() -> None:
    given_back = RECORDED[0].facts("mprotect-untouched", readonly_again=0).values

    assert judge_check(CHECKS["mprotect-untouched"], Facts(given_back, (6, 12))).status == "pass"
    assert judge_check(CHECKS["mprotect-untouched"], Facts(given_back, (6, 1))).status == "fail"
