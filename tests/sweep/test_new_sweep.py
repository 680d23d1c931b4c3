# SPDX-License-Identifier: MIT
"""The directory of a sweep is made whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.sweep import directory
from rig.sweep.axes import SweepPlan
from rig.sweep.directory import new_sweep, sweeps_directory


def test_sweep_whose_making_is_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path, plan: SweepPlan) -> None:
        (path / "sweep.json").touch()
        raise KeyboardInterrupt

    monkeypatch.setenv("RIG_RUNS", str(tmp_path))
    monkeypatch.setattr(directory, "write_plan", interrupted)

    with pytest.raises(KeyboardInterrupt):
        new_sweep(SweepPlan("overcommit-oops"))

    assert list(sweeps_directory().iterdir()) == []
