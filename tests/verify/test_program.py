# SPDX-License-Identifier: MIT
"""The C half of the checks: every check has one, with its conditions and a description."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.assets import assets
from rig.verify.checks import MODULES, catalogue


@pytest.fixture
def program(build: Path) -> Path:
    return build / "programs" / "verify"


def call(program: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


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


def test_check_that_does_not_exist_is_a_usage_error(program: Path) -> None:
    called = call(program, "--host", "no-such")

    assert called.returncode == 64
    assert "there is no check 'no-such'" in called.stderr


def test_condition_that_does_not_exist_is_a_usage_error(program: Path) -> None:
    called = call(program, "--host", "brk~no-such")

    assert called.returncode == 64
    assert "'brk' has no condition 'no-such'" in called.stderr
