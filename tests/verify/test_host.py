# SPDX-License-Identifier: MIT
"""The checks on this machine: only harmless ones run, a disturbed one is tried again, and the judgement is the same."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.verify.checks import catalogue
from rig.verify.host import judge_output, kmsg_lines, list_harmless, verify_host

CHECKS = catalogue()
BRK, LARGEST = CHECKS["brk"], CHECKS["oom-largest"]
GOOD = "check brk grown=8192 charged=8192 after=0"


def program(directory: Path, body: str) -> Path:
    """Write a program that lists two checks and otherwise runs a script."""
    path = directory / "verify"
    listed = "brk harmless grow\noom-largest harmful large"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --list ]; then echo "{listed}"; exit; fi\n{body}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_harmless_check_is_run_and_the_other_left_out_by_name(tmp_path: Path) -> None:
    verified = verify_host(program(tmp_path, f'echo "{GOOD}"; echo "$*" >> {tmp_path}/calls'), [BRK, LARGEST])

    assert [(result.check.name, result.status) for result in verified.results] == [
        ("brk", "pass"),
        ("oom-largest", "not-applicable"),
    ]
    assert "--harmful" in verified.results[1].why
    assert (tmp_path / "calls").read_text() == "--host brk\n"


def test_check_that_others_disturbed_is_tried_again(tmp_path: Path) -> None:
    noise = f'if [ -e {tmp_path}/second ]; then echo "{GOOD}"; else touch {tmp_path}/second; echo "{GOOD}1"; fi'

    result = verify_host(program(tmp_path, noise), [BRK]).results[0]

    assert (result.status, result.numbers["tries"]) == ("pass", "2")


def test_check_that_never_passes_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.verify.host.PAUSE", 0)

    result = verify_host(program(tmp_path, 'echo "check brk grown=8192 charged=0 after=0"'), [BRK]).results[0]

    assert result.status == "fail"


def test_program_that_does_not_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "verify").write_text("")

    with pytest.raises(RigError, match="do not run on this machine") as raised:
        verify_host(tmp_path / "verify", [BRK])

    assert raised.value.where == str(tmp_path / "verify")


def test_program_that_lists_no_check_is_named(tmp_path: Path) -> None:
    (tmp_path / "verify").write_text("#!/bin/sh\necho; exit 1\n")
    (tmp_path / "verify").chmod(0o700)

    with pytest.raises(RigError, match="lists no check"):
        verify_host(tmp_path / "verify", [BRK])


def test_harmful_checks_need_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(UsageError, match="need root"):
        verify_host(program(tmp_path, "exit 1"), [LARGEST], harmful=True)


def test_output_of_another_machine_is_judged_by_its_kernel() -> None:
    verified = judge_output(f"kernel 5.15.0-wsl\ntry 1\n{GOOD}1\ntry 2\n{GOOD}\n", [BRK, LARGEST])

    assert verified.release == "5.15.0-wsl"
    assert [result.status for result in verified.results] == ["pass", "not-applicable"]


def test_text_that_is_no_output_of_the_program_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="not the output"):
        judge_output("hello\n", [BRK])


SURE = [CHECKS[name] for name in ("rlimit-as", "rlimit-data", "adj-inherited", "adj-shared")]
"""Checks whose numbers no other process of the machine can change."""


def test_real_program_passes_on_this_machine_and_leaves_the_harmful_out(build: Path) -> None:
    verified = verify_host(build / "programs" / "verify", [*SURE, BRK, LARGEST])

    status = {result.check.name: result.status for result in verified.results}
    assert [status[check.name] for check in SURE] == ["pass"] * 4
    assert verified.results[-1].why.startswith("left out")
    # Others allocate meanwhile, so the charge may be off, but what brk itself did is not.
    assert status["brk"] in ("pass", "fail")
    assert verified.results[-2].numbers["grown"] == "8192"


def test_output_of_the_real_program_is_judged_as_on_the_machine_itself(build: Path) -> None:
    names = [check.name for check in SURE]
    called = subprocess.run(
        [build / "programs" / "verify", "--host", *names], capture_output=True, text=True, check=True
    )

    verified = judge_output(called.stdout, SURE)

    assert verified.release == platform.release()
    assert [result.status for result in verified.results] == ["pass"] * 4
    broken = called.stdout.replace("own=400", "own=100")
    assert [result.status for result in judge_output(broken, SURE).results] == ["pass", "pass", "pass", "fail"]


def test_kernel_without_the_counter_of_charges_has_checks_that_do_not_apply() -> None:
    # As gVisor: its /proc/meminfo has no Committed_AS.
    shares = "before=100 other=400 own=400 control_other=400 control_own=100"
    output = f"kernel 4.4.0\ncheck brk na=no-Committed_AS-in-meminfo\ncheck adj-shared {shares}\n"

    brk, shared = judge_output(output, [BRK, CHECKS["adj-shared"]]).results

    assert (brk.status, brk.why) == ("not-applicable", "the kernel reports no-Committed_AS-in-meminfo")
    assert shared.status == "pass"


def test_harmless_checks_are_read_from_the_program(tmp_path: Path) -> None:
    assert list_harmless(program(tmp_path, "exit 1")) == {"brk"}


def test_records_of_the_kernel_log_become_lines_of_the_console() -> None:
    records = ["6,1234,5000000,-;rig-verify: begin sysrq-f\n SUBSYSTEM=x\n", "4,1235,5100000,-,caller=T1;Out of memory"]

    assert kmsg_lines(records) == ["[    5.000000] rig-verify: begin sysrq-f", "[    5.100000] Out of memory"]
