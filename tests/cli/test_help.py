# SPDX-License-Identifier: MIT
"""The help of the program and of every command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rig import __version__
from rig.cli.app import _run
from rig.cli.commands import COMMANDS


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["--help"]) == 0

    out = capsys.readouterr().out
    assert [name for name, each in COMMANDS.items() if f"{name} " not in out or each.brief not in out] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_fits_into_80_columns(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([name, "--help"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"Usage: rig {name} ")
    assert [line for line in lines if len(line) > 80] == []


@pytest.mark.parametrize("words", [[], ["image"], ["kernel"], ["symbols"]])
def test_bare_program_and_bare_group_print_their_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(words) == 0

    printed = capsys.readouterr()
    assert printed.out.startswith(f"Usage: {' '.join(['rig', *words])} [OPTIONS]")
    assert printed.err == ""


def test_help_imports_no_command() -> None:
    code = "import sys; from rig.cli.app import _run; _run(['--help']); print(*sys.modules, file=sys.stderr)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    modules = {f"rig.cli.{each.module}" for each in COMMANDS.values()}
    assert modules & set(done.stderr.split()) == set()


def test_run_imports_what_judges_only_once_the_guest_runs() -> None:
    code = (
        "import sys; import rig.cli.run, rig.cli.execute_run; from rig.experiment.request import Request, check_job;"
        "check_job(Request('overcommit-oops')); print(*sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    later = {"rig.run.document", "rig.klog", "rig.scenario.judge", "rig.scenario.build_run", "rich", "rig.cli.show_run"}
    assert later & set(done.stdout.split()) == set()


def test_misspelt_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["imag"]) == 64

    assert "Did you mean 'image'?" in capsys.readouterr().err


def test_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["--version"]) == 0

    assert capsys.readouterr().out == f"rig {__version__}\n"


def test_extra_that_a_command_needs_is_named_whole(capsys: pytest.CaptureFixture[str]) -> None:
    _run(["plot", "--help"])

    assert "oomrig[plot]" in capsys.readouterr().out
