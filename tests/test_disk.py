# SPDX-License-Identifier: MIT
"""The message about a full or read-only disk names the directory that is full, and a remedy that loses nothing."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.cli import app
from rig.disk import bytes_below, cannot_write, disk_full, disk_full_of
from rig.image.staging import staging_directory
from rig.image.store import Store

DIRECTORIES = ("RIG_RUNS", "RIG_CACHE", "XDG_RUNTIME_DIR", "TMPDIR")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with each of rig's directories in it, none of them full."""
    for name in DIRECTORIES:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "TMPDIR"))
    _full(monkeypatch, None)
    return tmp_path


def _full(monkeypatch: pytest.MonkeyPatch, directory: Path | None, *, inodes: bool = False) -> None:
    def statvfs(path: Path) -> SimpleNamespace:
        if not Path(path).exists():
            raise FileNotFoundError
        full = directory is not None and Path(path).is_relative_to(directory)
        room = 0 if full and not inodes else 1 << 20
        return SimpleNamespace(f_bavail=room, f_frsize=4096, f_files=9, f_favail=0 if full and inodes else 9)

    monkeypatch.setattr(os, "statvfs", statvfs)


@pytest.mark.parametrize("inodes", [False, True])
@pytest.mark.parametrize("name", DIRECTORIES)
def test_directory_that_is_full_is_named_with_its_variable(
    name: str, inodes: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _full(monkeypatch, home / name, inodes=inodes)

    error = disk_full()

    assert error.where == str(home / name)
    assert error.remedy == f"make room there, or name a directory on another disk in {name}"


def test_directory_that_is_full_is_found_among_those_that_were_written(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _full(monkeypatch, home / "RIG_RUNS")

    error = disk_full(home / "RIG_CACHE/tmp/x", home / "RIG_RUNS/not/there", detail="its words")

    assert (error.where, error.detail) == (str(home / "RIG_RUNS/not/there"), "its words")
    assert "RIG_RUNS" in str(error.remedy)


def test_file_elsewhere_is_to_be_named_elsewhere(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "usb").mkdir()
    _full(monkeypatch, home / "usb")

    error = cannot_write("the archive", home / "usb/run.tar.zst", OSError(errno.ENOSPC, "No space left on device"))

    assert str(error) == (
        f"{home}/usb/run.tar.zst: the archive cannot be written: the disk is full"
        " (make room there, or name a file on another disk)"
    )


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_directory_that_may_not_be_written_does_not_ask_for_room(number: int, home: Path) -> None:
    error = cannot_write("the run's directory", home / "RIG_RUNS/x", OSError(number, os.strerror(number)))

    assert error.what == f"the run's directory cannot be written: {os.strerror(number)}"
    assert error.remedy == "name another directory in RIG_RUNS"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_program_that_says_that_the_disk_is_full_is_quoted(number: int, home: Path) -> None:
    words = f"ld: final link failed: {os.strerror(number)}"

    error = disk_full_of(words, home / "RIG_CACHE/tmp")

    assert error is not None
    assert (error.what, error.where, error.detail) == ("the disk is full", str(home / "RIG_CACHE/tmp"), words)


def test_program_that_failed_for_another_reason_is_not_taken_for_a_full_disk(home: Path) -> None:
    assert disk_full_of("ld: cannot find -lc", home / "RIG_CACHE/tmp") is None


def test_no_remedy_removes_anything(home: Path) -> None:
    assert not {"rm", "remove", "delete", "clean"} & set(str(disk_full().remedy).split())


@pytest.mark.parametrize(
    ("name", "beside"),
    [("XDG_RUNTIME_DIR", "nothing"), ("XDG_RUNTIME_DIR", "a cache entry"), ("RIG_CACHE", "a cache entry")],
)
@pytest.mark.parametrize("way", ["write", "open", "copy"])
def test_directory_that_was_full_is_named_when_its_files_are_gone(
    way: str, name: str, beside: str, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The directories that were written to are removed before the message is made."""
    store = Store(home / "RIG_CACHE")

    def statvfs(path: Path) -> SimpleNamespace:
        full = Path(path).is_relative_to(home / name) and list((home / name).rglob("large"))
        return SimpleNamespace(f_bavail=0 if full else 1 << 20, f_frsize=4096, f_files=9, f_favail=9)

    def command(**_: object) -> None:
        with ExitStack() as stack:
            entry = stack.enter_context(store.staging_directory()) if beside != "nothing" else home
            sockets = stack.enter_context(staging_directory("x", str(home / "XDG_RUNTIME_DIR")))
            large = (entry if name == "RIG_CACHE" else sockets) / "large"
            large.touch()
            # A write through an open file names none; a copy names its source, and then its target.
            names = {"write": (), "open": (str(large),), "copy": ("/boot/vmlinuz", None, str(large))}[way]
            raise OSError(errno.ENOSPC, "No space left on device", *names)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(app.typer.main, "get_command", lambda _: SimpleNamespace(main=command, get_params=lambda _: []))

    assert app._run([]) == 3

    said = capsys.readouterr().err
    assert f"{home}/{name}" in said
    assert f"name a directory on another disk in {name}" in said


def test_directory_that_disappears_while_it_is_measured_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "kept", "kept/below"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(os.urandom(1 << 16))
    scandir = os.scandir

    def disappearing(path: str | Path) -> object:
        if Path(path).name == "gone":
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return scandir(path)

    expected = sum((tmp_path / name).lstat().st_blocks * 512 for name in ("gone", "kept", "kept/below"))
    expected += sum((tmp_path / name / "file").lstat().st_blocks * 512 for name in ("kept", "kept/below"))
    monkeypatch.setattr(os, "scandir", disappearing)

    assert bytes_below(tmp_path) == expected


def test_part_of_a_directory_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/file").write_bytes(os.urandom(1 << 16))

    assert bytes_below(tmp_path, without=tmp_path / "part") == (tmp_path / "part").lstat().st_blocks * 512
    assert bytes_below(tmp_path) >= 1 << 16
