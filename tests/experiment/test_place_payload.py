# SPDX-License-Identifier: MIT
"""A run's payload where the cache cannot keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.experiment.execute import place_payload
from rig.image.payload import Payload
from rig.image.store import Store


def test_cache_that_cannot_be_written_costs_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(store: Store, payload: Payload) -> tuple[Path, str]:
        raise RigError("the cache cannot be written: Read-only file system")

    monkeypatch.setattr("rig.experiment.execute.cached_payload", refuse)
    monkeypatch.setattr("rig.experiment.execute.write_payload", lambda payload, path: path.write_text("made"))

    digest = place_payload(Store(tmp_path / "cache"), Payload(plan="end\n"), tmp_path / "payload")

    assert digest == ""
    assert (tmp_path / "payload").read_text() == "made"
