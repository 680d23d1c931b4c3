# SPDX-License-Identifier: MIT
"""`rig debug` on a run that it cannot debug: the error names what is missing, and where to get it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.app import app
from rig.errors import RigError, UsageError
from rig.image import hosttools
from tests.report.made_directory import write_directory


def _error(*words: str) -> BaseException | None:
    return CliRunner().invoke(app, ["debug", *words]).exception


def test_missing_gdb_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write_directory(tmp_path / "run")
    monkeypatch.setattr(hosttools.shutil, "which", lambda name, path=None: None)

    error = _error(str(directory))

    assert isinstance(error, RigError)
    assert "gdb is not installed" in error.what
    assert error.remedy == "apt-get install gdb"


def test_run_without_a_recording_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = write_directory(tmp_path / "run")
    monkeypatch.setattr(hosttools.shutil, "which", lambda name, path=None: f"/usr/bin/{name}")
    monkeypatch.setattr("rig.cli.debug.find_qemu", lambda: None)

    error = _error(str(directory))

    assert isinstance(error, RigError)
    assert "this run has no recording" in error.what


def test_place_that_means_nothing_is_a_usage_error(tmp_path: Path) -> None:
    error = _error(str(write_directory(tmp_path / "run")), "--at", "noon")

    assert isinstance(error, UsageError)
    assert "mark:NAME" in str(error.remedy)
