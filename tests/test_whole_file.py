# SPDX-License-Identifier: MIT
"""What may be lost is written without a wait for the disk, and leaves nothing where it cannot be written."""

from __future__ import annotations

from pathlib import Path

from rig.whole_file import write_unsynced


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
