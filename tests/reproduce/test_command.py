# SPDX-License-Identifier: MIT
"""`rig reproduce` and `rig new --from-log`: bad calls end before a guest is started, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.app import _run
from tests.klog import made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "dmesg.txt"
    path.write_bytes(made.serial(made.oom_report()))
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert _run(list(words)) == 64
    return capsys.readouterr().err


def test_log_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "no such file" in refused(capsys, "reproduce", str(tmp_path / "none"))


def test_log_without_a_report_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "dmesg.txt"
    log.write_text("[    0.000000] Linux version 6.1\n")

    assert "no OOM report" in refused(capsys, "reproduce", str(log))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scale", "3 apples"), "not a size"),
        (("--scale", "1M"), "not the size of the largest guest"),
        (("--event", "7"), "event 7 is not an OOM report"),
        (("--json", "-q"), "--json"),
        (("--smallest", "--budget", "0s"), "not a budget"),
    ],
)
def test_bad_option_is_refused(
    words: tuple[str, ...], message: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refused(capsys, "reproduce", str(log), *words)


def test_directory_that_is_there_is_left_alone(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept").mkdir()

    assert "there already" in refused(capsys, "reproduce", str(log), "--out", str(tmp_path / "kept"))
    assert list((tmp_path / "kept").iterdir()) == []


def test_new_from_a_log_writes_the_scenario_and_says_which_report(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write_bytes(made.serial([*made.oom_report(), *made.oom_report()]))
    monkeypatch.chdir(tmp_path)

    assert _run(["new", "prod", "--from-log", str(log)]) == 0
    assert "2 OOM reports; this is event 1" in capsys.readouterr().err
    assert (tmp_path / "prod" / "scenario.toml").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [(("Prod", "--from-log", "x"), "not a scenario's name"), (("prod", "--event", "2"), "--from-log")],
)
def test_bad_new_leaves_nothing(
    words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    assert message in refused(capsys, "new", *words)
    assert list(tmp_path.iterdir()) == []
