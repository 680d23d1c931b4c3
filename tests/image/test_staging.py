# SPDX-License-Identifier: MIT
"""What a killed rig leaves behind is found and removed; what belongs to a living one, or to another program, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig import locked_directory
from rig.image import staging
from rig.image.staging import remove_staging_directories, staging_directory
from rig.whole_file import unnamed_until_whole, write_whole


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(staging.tempfile, "tempdir", str(tmp_path))
    # A rig of another test run that was killed meanwhile leaves its directory in /tmp.
    monkeypatch.setattr(staging, "FALLBACK", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return tmp_path


def _killed_in(code: str, tmp_path: Path) -> None:
    code = f"import os, signal, tempfile; tempfile.tempdir = {str(tmp_path)!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("purpose", ["replay", "20250131-142530-k4fq", "post-mortem"])
def test_directory_of_a_killed_rig_is_removed(purpose: str, tmp_path: Path) -> None:
    _killed_in(
        f"""
from rig.image.staging import staging_directory
with staging_directory({purpose!r}) as directory:
    (directory / "payload").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
""",
        tmp_path,
    )
    assert len(list(tmp_path.iterdir())) == 1

    assert remove_staging_directories() == 1
    assert list(tmp_path.iterdir()) == []


def test_directory_that_had_nothing_in_it_yet_is_removed(tmp_path: Path) -> None:
    (tmp_path / "rig-replay-abcdefgh").mkdir()

    assert remove_staging_directories() == 1


def test_directory_that_was_written_to_lately_stays_where_only_old_ones_are_to_go(tmp_path: Path) -> None:
    directory = tmp_path / "rig-run-abcdefgh"
    directory.mkdir()
    lock = directory / staging.LOCK
    lock.touch()
    os.utime(directory, (0, 0))

    assert remove_staging_directories(older=3600) == 0
    os.utime(lock, (0, 0))
    assert remove_staging_directories(older=3600) == 1
    assert list(tmp_path.iterdir()) == []


def test_directories_of_living_rigs_and_of_other_programs_stay(tmp_path: Path) -> None:
    other = tmp_path / "rig-backup-20250131"
    other.mkdir()
    (other / "mine").write_text("x")
    (tmp_path / "rig-symlink-abcdefgh").symlink_to(other)

    with staging_directory("replay") as directory:
        assert remove_staging_directories() == 0
        assert directory.is_dir()

    assert not directory.exists()
    assert (other / "mine").exists()


@pytest.mark.parametrize("step", ["open", "flock"])
def test_directory_removed_before_it_is_locked_is_made_again(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"open": locked_directory.os, "flock": locked_directory.fcntl}[step]
    whole, removed = getattr(module, step), []

    def clean_first(*arguments: Any) -> Any:
        monkeypatch.setattr(module, step, whole)
        removed.append(remove_staging_directories())
        return whole(*arguments)

    monkeypatch.setattr(module, step, clean_first)

    with staging_directory("replay") as directory:
        assert directory.is_dir()
        assert remove_staging_directories() == 0
    assert removed == [1]


def test_file_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    _killed_in(
        f"""
from pathlib import Path
from rig.whole_file import unnamed_until_whole
with unnamed_until_whole(Path({str(tmp_path)!r}) / "run.tar.zst") as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
""",
        tmp_path,
    )

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("without_tmpfile", [False, True])
def test_old_content_stays_until_the_new_is_whole(
    without_tmpfile: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_tmpfile:
        monkeypatch.setattr("os.O_TMPFILE", os.O_DIRECTORY | os.O_WRONLY)
    target = tmp_path / "file"
    write_whole(target, b"old")

    with pytest.raises(ZeroDivisionError), unnamed_until_whole(target) as file:  # noqa: PT012 # it must be half-written
        file.write(b"new")
        raise ZeroDivisionError
    kept = target.read_bytes()
    write_whole(target, b"new")

    assert (kept, target.read_bytes()) == (b"old", b"new")
    assert list(tmp_path.iterdir()) == [target]
