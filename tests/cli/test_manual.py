# SPDX-License-Identifier: MIT
"""Manual pages and shell completion, made from the texts of the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rig.cli.commands import COMMANDS
from rig.cli.manual import main, manual_pages

PAGES = dict(manual_pages())


def test_there_is_a_page_for_the_program_and_each_command() -> None:
    assert list(PAGES) == ["rig.1", *(f"rig-{name}.1" for name in COMMANDS)]


def test_page_has_what_the_help_has() -> None:
    page = PAGES["rig-run.1"]

    assert ".B \\-\\-memory SIZE\nThe guest's memory, as in 384M." in page
    assert "Exit status: 0 reproduced" in page


def test_page_of_a_group_has_its_commands() -> None:
    assert ".SH RIG KERNEL BUILD" in PAGES["rig-kernel.1"]


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_pages_are_set_without_a_warning(tmp_path: Path) -> None:
    main(tmp_path)

    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-wall", "-Kutf8", *sorted(map(str, tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("rig ru", {"run", "runs"}), ("rig run --mem", {"--memory"}), ("rig image ", {"build", "list", "rm"})],
)
def test_shell_completes_commands_and_options(typed: str, expected: set[str]) -> None:
    words = typed.split(" ")
    environment = {"_RIG_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}

    done = subprocess.run(
        [sys.executable, "-m", "rig"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    found = set(done.stdout.split())
    assert expected <= found
    assert [word for word in found if not word.startswith(words[-1])] == []
