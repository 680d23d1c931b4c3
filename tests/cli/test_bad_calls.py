# SPDX-License-Identifier: MIT
"""Usage errors: each names the place and the remedy, exits 64, shows no traceback and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.calling import Call, calling

BROKEN_CLAIM = """\
title = "broken"
summary = "a claim that does not parse"
[plan]
steps = [ { do = "end", reason = "done" } ]
[[claims]]
id = "first"
text = "first"
expr = "len(lines >"
"""
BROKEN_TEMPLATE = """\
title = "broken"
summary = "a template that names nothing"
[plan]
steps = [ { do = "mark", name = "{{ nobody }}" } ]
[[claims]]
id = "first"
text = "first"
expr = "True"
"""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "200")
    return calling(capsys)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "overcommit-oop"], "overcommit-oops"),
        (["run", "./nowhere"], "there is no such directory"),
        (["run"], "name one scenario, or --all"),
        (["run", "overcommit-oops", "--set", "evry=5s"], "every"),
        (["run", "overcommit-oops", "--set", "every=5 parsecs"], "30s"),
        (["run", "overcommit-oops", "--set", "parent=lots"], "200M"),
        (["run", "overcommit-oops", "--set", "parent=700M"], "larger than the guest's memory"),
        (["run", "overcommit-oops", "--memory", "64M"], "96M"),
        (["run", "overcommit-oops", "--sysctl", "panic_on_oom=1"], "vm.panic_on_oom=1"),
        (["run", "overcommit-oops", "--sysctl", "vn.panic_on_oom=1"], "vm"),
        (["run", "overcommit-oops", "--kernel", "debain:bookworm"], "debian:bookworm"),
        (["run", "overcommit-oops", "--kernel", "/nowhere/bzImage"], "there is no file"),
        (["run", "overcommit-oops", "--image", "fast"], "quick"),
        (["run", "overcommit-oops", "--clock", "slow"], "warp, live"),
        (["run", "overcommit-oops", "--clock", "warp", "--accel", "kvm"], "--clock live"),
        (["run", "overcommit-oops", "--json", "-q"], "choose one"),
        (["run", "overcommit-oops", "--expect", "fine"], "not-reproduced"),
        (["run", "overcommit-oops", "--repeat", "0"], "--repeat"),
        (["run", "overcommit-oops", "--shell-on-failure", "--json"], "--print-qemu"),
        (["run", "overcommit-oops", "--jobs", "2"], "--all"),
        (["run", "--nonsense"], "--help"),
        (["nonsense"], "nonsense"),
        (["frontier", "overcommit-oops"], "--over"),
        (["frontier", "overcommit-oops", "--over", "hog=1M,2M"], "hog=0M..300M"),
        (["frontier", "overcommit-oops", "--over", "hog=0M..9M", "--find", "fine"], "not-reproduced"),
        (["run", "overcommit-oops", "--memory", "512"], "did you mean 512M?"),
        (["sweep", "overcommit-oops", "--over", "memory=1,2"], "96M to 64G"),
        (["sweep", "overcommit-oops", "--over", "memory=384M,512"], "did you mean 512M?"),
        (["sweep", "overcommit-oops", "--over", "hog=1M..5M"], "rig frontier overcommit-oops --over hog=1M..5M"),
        (["sweep"], "rig list"),
        (["sweep", "overcommit-oops", "--executor", "slurm"], "local, dask"),
        (["sweep", "overcommit-oops", "--scheduler", "tcp://host:1"], "--executor dask"),
        (["show", "nobody"], "unknown scenario"),
        (["image", "rm"], "--all"),
        (["image", "rm", "zz"], "no entry 'zz'"),
        (["image", "build", "--builder", "lfs"], "quick"),
        (["kernel", "build", "linux"], "debian:bookworm"),
        (["compare", "last", "last"], "rig run overcommit-oops"),
        (["shell", "--set", "every=5s"], "not a setting of a guest"),
    ],
)
def test_usage_error_names_the_remedy(words: list[str], expected: str, call: Call, tmp_path: Path) -> None:
    done = call(*words)

    assert done.returncode == 64, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("text", "expected"), [(BROKEN_CLAIM, "first"), (BROKEN_TEMPLATE, "nobody")])
def test_broken_scenario_names_the_file_and_the_place(text: str, expected: str, call: Call, tmp_path: Path) -> None:
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "scenario.toml").write_text(text)

    done = call("run", str(directory))

    assert done.returncode == 64
    assert "scenario.toml" in done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_traceback_is_shown_on_request(call: Call) -> None:
    done = call("run", "nobody", "--traceback")

    assert done.returncode == 64
    assert "Traceback" in done.stderr


def test_status_and_message_are_those_of_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig", "run", "nobody"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (64, "")
    assert "unknown scenario 'nobody'" in done.stderr


def test_list_of_an_empty_place_is_empty(call: Call) -> None:
    done = call("runs")

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_output_that_nobody_reads_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m rig list | head -1",
        shell=True, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ),
    )  # fmt: skip

    assert "Traceback" not in done.stderr


def test_plain_output_has_no_control_codes(call: Call) -> None:
    done = call("show", "overcommit-oops")

    assert done.returncode == 0
    assert "\x1b" not in done.stdout
