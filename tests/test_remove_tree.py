# SPDX-License-Identifier: MIT
"""An interrupt that comes while a directory is made or removed leaves nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rig.image.store import Store
from rig.remove_tree import make_directory


def test_interrupt_while_a_directory_is_removed_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, rmtree, calls = Store(tmp_path), shutil.rmtree, []

    def interrupted_once(path: Path, **options: bool) -> None:
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted_once)

    with pytest.raises(KeyboardInterrupt), store.staging_directory() as work:
        (work / "file").write_text("x")

    assert list((tmp_path / "tmp").iterdir()) == []


def test_directory_whose_making_is_interrupted_is_removed(tmp_path: Path) -> None:
    def interrupted(path: Path) -> None:
        path.mkdir()
        (path / "lock").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_directory(tmp_path / "new", interrupted)

    assert list(tmp_path.iterdir()) == []
