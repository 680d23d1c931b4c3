# SPDX-License-Identifier: MIT
"""The directory of a run that is being made: an interrupt leaves nothing of it, and no rig that cleans takes it away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.run import unfinished
from rig.run.unfinished import LOCK, UNFINISHED, finish_directory, remove_leftovers, unfinished_directory

RUN = "20250131-120000-abcd"


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an interrupt come when mkdir(2) has returned, before Python goes on."""
    whole = Path.mkdir

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        try:
            whole(path, *arguments, **options)
        finally:
            if path.name.startswith(UNFINISHED):
                raise KeyboardInterrupt

    monkeypatch.setattr(Path, "mkdir", mkdir)


@pytest.mark.usefixtures("interrupted")
def test_directory_whose_making_is_interrupted_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), unfinished_directory(tmp_path / "runs", RUN):
        pass

    assert list((tmp_path / "runs").iterdir()) == []


def test_directory_of_another_rig_stays(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with unfinished_directory(tmp_path, RUN) as directory:
        (directory / "console.log").touch()
        request.getfixturevalue("interrupted")

        with (
            pytest.raises(RigError, match="another rig process is writing this run"),
            unfinished_directory(tmp_path, RUN),
        ):
            pass

        assert (directory / "console.log").exists()


def test_run_that_is_finished_while_another_rig_cleans_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = unfinished.sync_tree

    def cleaned(directory: Path) -> None:
        assert remove_leftovers(tmp_path) == []
        whole(directory)

    monkeypatch.setattr(unfinished, "sync_tree", cleaned)
    with unfinished_directory(tmp_path, RUN) as directory:
        (directory / "console.log").touch()
        finish_directory(directory, tmp_path / RUN)

    assert [path.name for path in (tmp_path / RUN).iterdir()] == ["console.log"]


def test_directory_that_was_removed_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, removed = Path.mkdir, []

    def mkdir(path: Path, *arguments: Any, **options: Any) -> None:
        whole(path, *arguments, **options)
        monkeypatch.setattr(Path, "mkdir", whole)
        removed.extend(remove_leftovers(tmp_path))

    monkeypatch.setattr(Path, "mkdir", mkdir)

    with unfinished_directory(tmp_path, RUN) as directory:
        assert (directory / LOCK).is_file()
    assert removed == [directory]
