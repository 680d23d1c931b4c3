# SPDX-License-Identifier: MIT
"""What may be lost is written without a wait for the disk, and leaves nothing where it cannot be written."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rig.whole_file import read_object, write_unsynced
from tests.calling import calling

KILLED = """
import os, pathlib, signal, sys
from rig.whole_file import write_unsynced
pathlib.Path.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
write_unsynced(pathlib.Path(sys.argv[1]), "text")
"""


def test_text_replaces_the_old_one(tmp_path: Path) -> None:
    write_unsynced(tmp_path / "note", "old")
    write_unsynced(tmp_path / "note", "new")

    assert (tmp_path / "note").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["note"]


def test_directory_that_cannot_take_it_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "note/below").mkdir(parents=True)  # no file can replace a directory

    write_unsynced(tmp_path / "note", "text")
    write_unsynced(tmp_path / "nowhere/note", "text")

    assert [path.name for path in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize("text", [None, b"", b'{"a": 1', b"[1]", b"null", b'"\xff"', b"[" * 60_000])
def test_file_that_is_missing_or_not_an_object_reads_as_an_empty_one(text: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b'{"a": 1}')
    if text is not None:
        (tmp_path / "note").write_bytes(text)

    assert read_object(tmp_path / "note") == {}
    assert read_object(tmp_path / "whole") == {"a": 1}


def test_clean_removes_what_a_rig_was_killed_in_the_middle_of_writing(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, runs = places / "cache", places / "runs"
    # What other rigs of this host left is not this test's.
    command = importlib.import_module("rig.cli.clean")
    monkeypatch.setattr(command, "find_leftovers", list)
    monkeypatch.setattr(command, "remove_staging_directories", lambda: 0)
    entry = cache / "snapshot" / "key"
    entry.mkdir(parents=True)
    run = runs / "20261101-101010-abcd"
    run.mkdir(parents=True)
    killed = subprocess.run([sys.executable, "-c", KILLED, entry / "verified"], check=False)
    (left,) = entry.iterdir()
    pid = left.name.split(".")[-2]
    for directory in (cache, cache / "snapshot", runs, run):
        (directory / f".note.{pid}.partial").touch()
    alive = entry / f".verified.{os.getpid()}.partial"
    alive.touch()
    other = run / ".half-a-download.partial"  # no pid in its name: not rig's
    other.touch()
    elsewhere = places / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / f".note.{pid}.partial").touch()
    (cache / "link").symlink_to(elsewhere)
    hour = time.time() - 3601
    for path in places.rglob("*.partial"):
        os.utime(path, (hour, hour))
    young = run / f".young.{pid}.partial"  # may be of a rig on another host
    young.touch()

    done = calling(capsys)("clean")

    assert killed.returncode == -signal.SIGKILL
    assert done.returncode == 0
    assert "5 unfinished directories and files removed" in done.stdout
    assert {path for path in places.rglob("*") if path.is_file()} == {
        alive,
        other,
        young,
        elsewhere / f".note.{pid}.partial",
    }
