# SPDX-License-Identifier: MIT
"""The cost of a first write on the host: what is read from the program, how it is judged, and what the command says."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.cli import verify as command
from rig.errors import RigError
from rig.verify.cost import COST_CHECKS, PROGRAM, cost_facts, judge_cost, measure_cost
from tests.article.host import read_host
from tests.calling import calling

WORD = COST_CHECKS["first-write-word"]
KEPT = {result.check.name: dict(result.numbers) for result in read_host()}


@pytest.mark.parametrize("name", COST_CHECKS)
def test_cost_that_a_cpu_had_passes(name: str) -> None:
    assert judge_cost(COST_CHECKS[name], KEPT[name], "6.1.0").status == "pass"


@pytest.mark.parametrize(
    ("name", "example"), [(name, example) for name, check in COST_CHECKS.items() for example in check.counterexamples]
)
def test_cost_of_a_write_that_copies_nothing_fails(name: str, example: dict[str, int]) -> None:
    facts = KEPT[name] | {key: str(value) for key, value in example.items()}

    assert judge_cost(COST_CHECKS[name], facts, "6.1.0").status == "fail"


def test_machine_that_is_a_guest_under_tcg_has_no_cycles_to_judge() -> None:
    facts = cost_facts("hypervisor TCGTCGTCGTCG\nticks first 0 30 10\nminflt first 2\n")

    result = judge_cost(WORD, facts, "6.1.0")

    assert (result.status, "first_50" in result.numbers) == ("not-applicable", False)
    assert "its counter is no CPU's" in result.why


def test_output_that_lacks_a_pass_is_broken_not_passed() -> None:
    facts = cost_facts("hypervisor none\ncycles first 0 3000 1000\nminflt first 2\n")

    assert judge_cost(WORD, facts, "6.1.0").status == "broken"


def test_passes_are_read_over_several_lines() -> None:
    facts = cost_facts("hypervisor KVMKVMKVM\nfilled 8192\ncycles first 0 30 10\ncycles first 2 20\nminflt first 3\n")

    assert facts == {
        "hypervisor": "KVM", "first_faults": "3", "first_10": "10", "first_50": "20", "first_90": "30", "pages": "3",
    }  # fmt: skip


@pytest.mark.parametrize(
    "line",
    ["hypervisor", "cycles", "cycles first", "cycles first 0", "cycles first 0 30 x", "minflt first", "minflt first x"],
)
def test_line_that_is_cut_off_is_an_error_that_shows_it(line: str) -> None:
    with pytest.raises(RigError, match="incomplete") as raised:
        cost_facts(f"hypervisor none\n{line}\n")

    assert raised.value.detail == line


def test_program_that_fails_is_an_error_with_its_path(tmp_path: Path) -> None:
    program = tmp_path / PROGRAM
    program.write_text("#!/bin/sh\nexit 71\n")
    program.chmod(0o755)

    with pytest.raises(RigError, match="does not run on this machine"):
        measure_cost(program, WORD)


@pytest.mark.parametrize("words", [(), ("--host", "--harmful"), ("--kernel", "debian:sid")])
def test_cost_is_measured_on_the_host_alone(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    done = calling(capsys)("verify", "cost", *words)

    assert (done.returncode, done.stdout) == (64, "")
    assert "rig verify cost --host" in done.stderr


def test_suite_that_does_not_exist_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    done = calling(capsys)("verify", "costs", "--host")

    assert (done.returncode, done.stdout) == (64, "")
    assert "there is no suite 'costs'" in done.stderr


def test_command_names_the_host_and_its_cpu(
    build: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = SimpleNamespace(programs={PROGRAM: build / "programs" / PROGRAM})
    monkeypatch.setattr(command, "build_guest_code", lambda store: programs)

    done = calling(capsys)("verify", "cost", "--host", "--check", "first-write-word", "--json")

    (kernel,) = json.loads(done.stdout)
    (check,) = kernel["checks"]
    assert kernel["kernel"] == "host"
    assert check["name"] == "first-write-word"
    # Under TCG no cycles are printed; on a CPU they are judged.
    assert (check["status"] == "not-applicable") == (check["numbers"]["hypervisor"] == "TCG")
    assert check["numbers"]["first_faults"].isdigit()
