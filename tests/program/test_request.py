# SPDX-License-Identifier: MIT
"""The arguments of `rig exec` are checked before a guest is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli import app
from rig.cli.app import _run
from rig.errors import UsageError
from rig.image.layer.config import ImageConfig
from rig.program.expectation import Expectation, parse_expectation
from rig.program.plan import program_command
from rig.program.request import ProgramRequest, parse_cgroup, parse_disk, parse_env, parse_timeout

assert app


def test_cgroup_files_and_values() -> None:
    assert parse_cgroup(["memory.max=256M", "cpu.weight=50"]) == {"memory.max": "256M", "cpu.weight": "50"}


@pytest.mark.parametrize(
    "text", ["memory.max", "memory.max=", "=1", "max=1", "../x.y=1", "cgroup.procs=1", "memory/a.b=1"]
)
def test_what_is_no_file_of_a_cgroup_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="cgroup"):
        parse_cgroup([text])


def test_variables_may_be_empty_but_have_a_name() -> None:
    assert parse_env(["A=", "B=c=d"]) == {"A": "", "B": "c=d"}
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_env(["A"])


def test_disk_has_a_size_and_a_mount_point() -> None:
    assert parse_disk("1G") == ("1G", "/disk")
    assert parse_disk("64M:/var/lib/postgresql") == ("64M", "/var/lib/postgresql")


@pytest.mark.parametrize("text", ["1G:", "1G:/", "1G:data", "1G:/a/../b", "1G:/proc", "1G:/sys/fs/cgroup/"])
def test_disk_is_not_mounted_over_what_the_kernel_shows(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be mounted"):
        parse_disk(text)


@pytest.mark.parametrize("text", ["0", "-1s", "soon", "1000000000h"])
def test_time_outs_have_bounds(text: str) -> None:
    with pytest.raises(UsageError):
        parse_timeout(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("oom", Expectation("oom")),
        ("no-oom", Expectation("no-oom")),
        ("exit=007", Expectation("exit", "7")),
        ("signal=SIGKILL", Expectation("signal", "KILL")),
        ("signal=term", Expectation("signal", "TERM")),
    ],
)
def test_expectations(text: str, expected: Expectation) -> None:
    assert parse_expectation(text) == expected


@pytest.mark.parametrize(
    "text", ["", "OOM", "exit", "exit=256", "exit=-1", "signal", "signal=9", "signal=NOPE", "oom=1"]
)
def test_what_cannot_be_expected_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="a valid expectation"):
        parse_expectation(text)


def test_image_says_what_is_started_where_the_call_does_not() -> None:
    config = ImageConfig(("PATH=/opt/bin", "A=1"), ("/entry",), ("--flag",), "999", "/srv")

    command = program_command(ProgramRequest((), env={"A": "2"}), config, ())

    assert command.argv == ("/entry", "--flag")
    assert (command.cwd, command.user, command.name) == ("/srv", "999", "entry")
    assert (command.env["PATH"], command.env["A"]) == ("/opt/bin", "2")


def test_call_overrules_the_image() -> None:
    config = ImageConfig((), ("/entry",), (), "999", "/srv")

    command = program_command(ProgramRequest((), cwd="/tmp", user="0"), config, ("/other", "arg"))

    assert (command.argv, command.cwd, command.user) == (("/other", "arg"), "/tmp", "0")


def test_nothing_to_start_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no program was given"):
        program_command(ProgramRequest(()), ImageConfig(), ())
    with pytest.raises(UsageError, match="the root names none of its own"):
        program_command(ProgramRequest((), root="app.tar"), ImageConfig(), ())


def test_program_without_dashes_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["exec", "--memory", "96M"]) == 64
    assert "there is no --" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["exec", "ssh"])
def test_program_before_the_dashes_is_told_where_it_belongs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([command, "ls", "-l"]) == 64
    assert f"rig {command} -- ls -l" in capsys.readouterr().err


def test_word_before_the_dashes_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["exec", "--memory", "300", "apples", "--", "true"]) == 64
    assert "'apples' stands before --" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "helped"),
    [(["exec", "--nope", "--", "true"], "rig exec --help"), (["image", "import", "x"], "rig image import --help")],
)
def test_mistaken_option_is_told_the_help_of_its_command(
    words: list[str], helped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(words) == 64
    assert f"try: {helped}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cgroup", "memory.max"], "cgroup"),
        (["--expect", "nothing"], "a valid expectation"),
        (["--timeout", "soon"], "duration"),
        (["--memory", "much"], "size"),
        (["--sysctl", "panic_on_oom=1"], "is not the name of a sysctl"),
        (["--clock", "warp", "--accel", "kvm"], "warp clock needs TCG"),
        (["--copy", "/no/such/file"], "no such file"),
        (["--root", "/no/such/dir"], "rig: /no/such/dir: there is no such file"),
        (["--disk", "much"], "rig: --disk much: 'much' is not a size"),
        (["--root", "/"], "own root"),
        (["--deb", "Not A Package"], "not a package's name"),
    ],
)
def test_bad_options_are_usage_errors_without_a_guest(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(["exec", *options, "--", "true"]) == 64
    assert words in capsys.readouterr().err


def test_directory_as_an_image_is_told_of_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["run", "memory-is-copied", "--image", str(tmp_path)]) == 64
    assert f"rig exec --root {tmp_path} -- PROGRAM" in capsys.readouterr().err


def test_archive_as_an_image_is_told_of_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.tar").write_bytes(bytes(10240))

    assert _run(["run", "memory-is-copied", "--image", str(tmp_path / "app.tar")]) == 64
    assert "rig exec --root" in capsys.readouterr().err
