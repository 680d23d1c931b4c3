# SPDX-License-Identifier: MIT
"""Commands that need the parts of a run hold the run before they read what parts it has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import pytest

from rig.cli.app import run_command
from rig.errors import RigError
from rig.in_use import lock_unused, using_entries
from tests.report.made_directory import write_directory

CALLS = [["export", "last", "run.tar.zst"], ["replay", "last"], ["debug", "last"], ["post-mortem", "last"],
         ["branch", "last", "--at", "oom"], ["cure", "last"]]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_run_is_held_before_it_is_read(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_directory(tmp_path / "runs/20250131-120000-abcd")
    held = []

    def read(directory: Path) -> NoReturn:
        with lock_unused(directory) as free:
            held.append(not free)
        raise RigError("that is all")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("rig.run.directory.read_run", read)
    monkeypatch.setattr(sys, "argv", ["rig", *call])

    with using_entries():
        status = run_command()

    assert (status, held) == (3, [True])
