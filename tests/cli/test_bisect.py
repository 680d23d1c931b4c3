# SPDX-License-Identifier: MIT
"""`rig run --bisect`: the exit statuses that git receives."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.cli.bisect import status_of
from rig.errors import GuestError, RigError


@pytest.mark.parametrize(
    ("verdicts", "good", "status"),
    [
        (["reproduced"], "reproduced", 0),
        (["not-reproduced"], "reproduced", 1),
        (["reproduced"], "not-reproduced", 1),
        (["not-reproduced"], "not-reproduced", 0),
        (["invalid"], "reproduced", 125),
        (["error"], "not-reproduced", 125),
        (["reproduced", "reproduced"], "reproduced", 0),
        (["reproduced", "not-reproduced"], "reproduced", 125),
        (["reproduced", "error"], "reproduced", 125),
    ],
)
def test_verdict_is_good_bad_or_cannot_be_tested(verdicts: list[str], good: str, status: int) -> None:
    assert status_of(verdicts, good) == status


@pytest.mark.parametrize(
    "words",
    [
        ["no-such-scenario", "--bisect", "--good", "reproduced"],
        ["overcommit-oops", "--bisect"],
        ["overcommit-oops", "--good", "reproduced"],
        ["overcommit-oops", "--bisect", "--good", "error"],
        ["overcommit-oops", "--bisect", "--good", "reproduced", "--expect", "reproduced"],
        ["overcommit-oops", "--bisect", "--good", "reproduced", "--set", "nonsense=1"],
        ["overcommit-oops", "--bisect", "--good", "reproduced", "--sysctl", "panic_on_oom=1"],
        ["overcommit-oops", "--bisect", "--good", "reproduced", "--json", "-q"],
        ["--all", "--bisect", "--good", "reproduced"],
    ],
)
def test_usage_error_ends_the_bisection(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["run", *words]) == 128

    assert capsys.readouterr().err.startswith("rig: ")


@pytest.mark.parametrize("error", [RigError("the kernel does not build"), GuestError("the guest did not boot")])
def test_commit_whose_kernel_breaks_cannot_be_tested(
    error: RigError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("rig.cli.execute_run.run_from_prefix", broken)

    status = _run(["run", "overcommit-oops", "--bisect", "--good", "reproduced"])

    assert status == 125
    assert error.what in capsys.readouterr().err


def test_directory_without_a_kernel_cannot_be_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = _run(["run", "overcommit-oops", "--bisect", "--good", "reproduced", "--kernel", f"tree:{tmp_path}"])

    assert status == 125
    assert "is not a kernel source tree" in capsys.readouterr().err
