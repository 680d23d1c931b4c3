# SPDX-License-Identifier: MIT
"""The guests of pytest have the deadlines that RIG_TIMEOUT_SCALE gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rig.deadline_scale import set_deadline_scale
from rig.experiment.execution import Deadlines
from rig.experiment.pytest_guests import Guests
from rig.machine.spec import Accel


def test_scale_of_the_environment_reaches_the_guests_of_pytest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []

    async def run_scenario(request: Any, progress: object) -> tuple[SimpleNamespace, Path]:
        found.append(request.timeout_scale)
        return SimpleNamespace(), tmp_path

    async def prepare_guest(settings: object) -> SimpleNamespace:
        spec = SimpleNamespace(accel=Accel.TCG)
        return SimpleNamespace(spec=spec, parts=SimpleNamespace(code=SimpleNamespace(programs={})))

    async def execute(guest: object, payload: object, out: Path, *, deadlines: Deadlines, **options: object) -> Any:
        (out / "events.jsonl").write_text("")
        found.append((deadlines.boot, deadlines.plan))
        return SimpleNamespace(problem=None)

    set_deadline_scale(None)
    monkeypatch.setenv("RIG_TIMEOUT_SCALE", "3")
    monkeypatch.setattr("rig.experiment.run.run_scenario", run_scenario)
    monkeypatch.setattr("rig.experiment.prepare.prepare_guest", prepare_guest)
    monkeypatch.setattr("rig.experiment.execute.execute", execute)
    monkeypatch.setattr("rig.experiment.pytest_run.TestedRun.of", lambda run, directory: run)
    guests = Guests()

    guests.run("overcommit-oops")
    guests.guest()("end", timeout=10)
    guests.close()

    assert found == [3.0, (180.0, 30.0)]
