# SPDX-License-Identifier: MIT
"""`rig verify`: what it prints and its exit status, over results that no guest was booted for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.verify import app
from rig.image import guestcode
from rig.verify import kernels
from rig.verify.check import Check, Facts, judge_check
from rig.verify.kernels import Verified
from tests.calling import calling

GOOD = {"grown": "8192", "charged": "8192", "after": "0"}


def call(monkeypatch: pytest.MonkeyPatch, facts: dict[str, dict[str, str] | None], *words: str) -> tuple[int, str]:
    """Call `rig verify` where each kernel reports these facts for `brk`, or is unavailable."""

    async def verify_kernel(kernel: str, checks: list[Check], **_: object) -> Verified:
        values = facts[kernel]
        if values is None:
            return Verified(kernel, unavailable="the mirror does not serve it")
        return Verified(kernel, "6.1.0", results=tuple(judge_check(check, Facts(values, (6, 1))) for check in checks))

    monkeypatch.setattr(kernels, "verify_kernel", verify_kernel)
    names = [word for kernel in facts for word in ("--kernel", kernel)]
    called = CliRunner().invoke(app, ["verify", "overcommit", "--check", "brk", *names, *words])
    return called.exit_code, called.output


def test_rule_that_holds_is_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = call(monkeypatch, {"debian:bookworm": GOOD})

    assert (status, "1 pass" in out) == (0, True)


def test_rule_that_is_broken_is_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = call(monkeypatch, {"debian:bookworm": {**GOOD, "after": "4"}})

    assert (status, "1 fail" in out) == (1, True)


def test_nothing_verified_is_status_3(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = call(monkeypatch, {"debian:nosuchsuite": None})

    assert (status, "unavailable: the mirror does not serve it" in out) == (3, True)


def test_programs_that_do_not_compile_are_status_3(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = places / "guest"
    broken.mkdir()
    (broken / "Makefile").write_text("all:\n\t@echo 'verify.c:3: error: a semicolon is missing' >&2; false\n")
    monkeypatch.setattr(guestcode, "assets", lambda name: broken)

    done = calling(capsys)("verify", "overcommit", "--check", "brk", "--kernel", "debian:bookworm")

    assert done.returncode == 3
    assert "the guest's programs do not compile" in done.stderr
    assert "verify.c:3: error: a semicolon is missing" in done.stderr
    assert done.stdout == ""
    assert not (places / "runs").exists()


def test_only_what_does_not_apply_is_status_3(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, {"debian:bookworm": {"na": "ENOSYS"}})[0] == 3


def test_one_kernel_that_is_unavailable_beside_one_that_holds_is_status_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert call(monkeypatch, {"debian:nosuchsuite": None, "debian:bookworm": GOOD})[0] == 0


def test_json_has_the_numbers_the_rule_and_its_control(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = call(monkeypatch, {"debian:bookworm": GOOD}, "--json")

    check = json.loads(out)[0]["checks"][0]
    assert status == 0
    assert (check["name"], check["status"], check["control"], check["numbers"]) == ("brk", "pass", "within", GOOD)
