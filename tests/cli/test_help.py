# SPDX-License-Identifier: MIT
"""The help of the program and of every command."""

from __future__ import annotations

import pytest

from rig.cli.app import COMMANDS, _run


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["--help"]) == 0

    out = capsys.readouterr().out
    assert [name for name in COMMANDS if name not in out] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run([name, "--help"]) == 0

    assert f"rig {name}" in capsys.readouterr().out
