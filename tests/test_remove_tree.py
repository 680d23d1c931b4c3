# SPDX-License-Identifier: MIT
"""An interrupt that comes while a directory is removed leaves nothing of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rig.image.store import Store


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
