# SPDX-License-Identifier: MIT
"""Whether a program is the host's or the guest's is decided by the image that the guest boots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.experiment import prepare
from rig.image.defaults import choose_default
from rig.image.store import Store
from rig.program import execute
from rig.program.request import ProgramRequest


def test_chosen_default_image_is_the_one_that_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_CONFIG", str(tmp_path))
    monkeypatch.delenv("RIG_IMAGE", raising=False)
    choose_default("image", "buildroot:small")
    looked_into: list[str] = []

    def find(store: Store, spec: str) -> Any:
        looked_into.append(spec)
        raise RigError("looked into")

    monkeypatch.setattr(prepare, "find_rootfs", find)

    with pytest.raises(RigError, match="looked into"):
        execute.program_job(Store(tmp_path / "cache"), ProgramRequest(("/bin/sh",)))
    assert looked_into == ["buildroot:small"]
