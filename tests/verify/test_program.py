# SPDX-License-Identifier: MIT
"""The C half of the checks: every check has one, with its conditions and a description."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.assets import assets
from rig.verify.checks import MODULES, catalogue
from rig.verify.facts import program_facts


@pytest.fixture
def program(build: Path) -> Path:
    return build / "programs" / "verify"


def call(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def call_without_files(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call the program with three open files, the standard ones: each call that opens another is refused with EMFILE."""
    return call(Path("/bin/sh"), "-c", 'ulimit -n 3; exec "$@"', "sh", str(program), *words)


def listed(program: Path) -> dict[str, list[str]]:
    lines = (line.split() for line in call(program, "--list").stdout.splitlines())
    return {name: conditions for name, _, *conditions in lines}


def test_every_check_has_its_c_half_and_the_reverse(program: Path) -> None:
    assert set(listed(program)) == set(catalogue())


@pytest.mark.parametrize("module", MODULES)
def test_halves_of_a_check_are_in_modules_of_the_same_name(module: str) -> None:
    text = (assets("guest") / "programs" / "verify" / f"{module}.c").read_text()

    assert [check.name for check in MODULES[module] if f'{{ "{check.name}", ' not in text] == []


def test_every_check_has_a_condition_that_its_mutant_negates(program: Path) -> None:
    assert [name for name, conditions in listed(program).items() if not conditions] == []


def test_condition_that_a_control_negates_is_one_of_the_check(program: Path) -> None:
    known = listed(program)

    assert [name for name, each in catalogue().items() if each.negated and each.negated not in known[name]] == []


def test_setting_that_is_no_condition_of_the_rule_is_read_back_too(program: Path) -> None:
    called = call_without_files(program, "--host", "--harmful", "mode2-single")

    assert program_facts(called.stdout.splitlines())["mode2-single"] == {"broken": "overcommit_ratio-EMFILE"}


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("file-writable", "memfd_create-EMFILE"),
        ("adj-inherited", "oom_score_adj-EMFILE"),
        ("brk", "meminfo-EMFILE"),
    ],
)
def test_call_that_fails_for_another_reason_than_a_lacking_feature_is_broken(
    program: Path, check: str, reason: str
) -> None:
    called = call_without_files(program, "--host", check)

    assert program_facts(called.stdout.splitlines())[check] == {"broken": reason}


@pytest.mark.skipif(Path("/sys/devices/system/node/node1").exists(), reason="this machine has a second node")
def test_machine_without_a_second_node_lacks_the_feature_before_anything_else_is_looked_for(program: Path) -> None:
    called = call_without_files(program, "--host", "--harmful", "exiting-reserves")

    assert program_facts(called.stdout.splitlines())["exiting-reserves"] == {"na": "ENOENT"}


def test_check_that_does_not_exist_is_a_usage_error(program: Path) -> None:
    called = call(program, "--host", "no-such")

    assert called.returncode == 64
    assert "there is no check 'no-such'" in called.stderr


def test_condition_that_does_not_exist_is_a_usage_error(program: Path) -> None:
    called = call(program, "--host", "brk~no-such")

    assert called.returncode == 64
    assert "'brk' has no condition 'no-such'" in called.stderr


@pytest.mark.parametrize("words", [("--host",), ()])
@pytest.mark.parametrize("check", ["score-badness", "score-badness~large"])
def test_harmful_check_is_refused_without_the_flag_before_any_check_runs(
    program: Path, words: tuple[str, ...], check: str
) -> None:
    # A program that does not refuse it measures nothing then, and this machine is safe.
    called = call_without_files(program, *words, "rlimit-as", check)

    assert called.returncode == 64
    assert f"'{check}' changes this machine, kills or panics; --harmful" in called.stderr
    assert called.stdout == ""


def test_harmful_check_is_run_with_the_flag(program: Path) -> None:
    called = call_without_files(program, "--host", "--harmful", "score-badness")

    assert program_facts(called.stdout.splitlines())["score-badness"] == {"broken": "meminfo-EMFILE"}


def test_call_that_names_no_check_is_a_usage_error(program: Path) -> None:
    called = call(program, "--harmful")

    assert (called.returncode, called.stdout) == (64, "")
    assert "no check is named" in called.stderr


def test_checks_that_the_host_is_spared_are_printed_by_name(program: Path) -> None:
    lines = (line.split() for line in call(program, "--list").stdout.splitlines())
    harmful = [name for name, kind, *_ in lines if kind == "harmful"]

    printed = [line.rpartition(": ")[2] for line in call(program, "--host").stdout.splitlines() if "left out" in line]

    assert printed == harmful
