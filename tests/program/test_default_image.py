# SPDX-License-Identifier: MIT
"""Whether a program is the host's or the guest's is decided by the image that the guest boots."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rig.image.defaults import choose_default
from rig.image.store import Store
from rig.program import execute
from rig.program.roots import Root


def test_chosen_default_image_is_the_one_that_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_CONFIG", str(tmp_path))
    monkeypatch.delenv("RIG_IMAGE", raising=False)
    choose_default("image", "buildroot:small")
    looked_into: list[str] = []

    def find(store: Store, spec: str) -> Any:
        looked_into.append(spec)
        return SimpleNamespace(image=tmp_path / "root.img")

    monkeypatch.setattr(execute, "find_rootfs", find)
    monkeypatch.setattr(execute, "has_file", lambda image, path: True)

    assert not execute._is_the_hosts(Store(tmp_path / "cache"), "/bin/sh", Root(()), None)
    assert looked_into == ["buildroot:small"]
