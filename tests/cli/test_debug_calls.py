# SPDX-License-Identifier: MIT
"""`rig debug` on a run that it cannot debug: the error names what is missing, and where to get it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rig.cli.app import app
from rig.cli.debug import _symbols
from rig.errors import RigError, UsageError
from rig.image import hosttools
from rig.image.store import Store
from rig.replay.debug import gdb_command
from rig.replay.stop_point import StopPoint
from rig.replay.stopped import NoSymbols, _function_of
from tests.report.made_directory import made_run, write_directory


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
    assert "without what is named here" in str(error.remedy)


def test_place_that_means_nothing_is_a_usage_error(tmp_path: Path) -> None:
    error = _error(str(write_directory(tmp_path / "run")), "--at", "noon")

    assert isinstance(error, UsageError)
    assert "mark:NAME" in str(error.remedy)


@pytest.fixture
def no_symbols(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host without the debug symbols of any kernel."""

    def symbols_of(*words: object) -> None:
        raise NoSymbols("the debug symbols of 6.1 are missing", remedy="rig symbols add debian:bookworm")

    monkeypatch.setattr("rig.cli.debug.symbols_of", symbols_of)


@pytest.mark.usefixtures("no_symbols")
def test_start_of_a_replay_is_debugged_without_symbols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = StopPoint("start")

    assert _symbols(Store(tmp_path), made_run(), tmp_path, start) is None

    assert _function_of(start, None) == ("", 0)
    assert gdb_command(None, "socket", ("info registers",))[-1] == "info registers"
    assert "rig symbols add debian:bookworm" in capsys.readouterr().err


@pytest.mark.usefixtures("no_symbols")
def test_other_stop_points_name_the_symbols_and_what_needs_none(tmp_path: Path) -> None:
    with pytest.raises(NoSymbols, match="--at start without them"):
        _symbols(Store(tmp_path), made_run(), tmp_path, StopPoint("oom"))
    with pytest.raises(NoSymbols, match="oom cannot be found"):
        _function_of(StopPoint("oom"), None)
