# SPDX-License-Identifier: MIT
"""A recording of an earlier version of rig, which names no machine type, replays with that version's machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from rig.experiment import prepare
from rig.experiment.request import Request
from rig.experiment.run import run_scenario
from rig.image.store import Store
from rig.run.document import RecordedGuest
from rig.run.progress import NullProgress
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Path]:
    """Return the run.json, and the directory, of a run with the machine and CPU model of earlier versions of rig."""
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(prepare, "MACHINE", RecordedGuest.model_fields["machine"].default)
    monkeypatch.setattr(prepare, "TCG_CPU", RecordedGuest.model_fields["cpu_model"].default)
    run, directory = asyncio.run(run_scenario(Request("memory-is-copied"), NullProgress()))
    return run.model_dump(mode="json"), directory


def _without_what_an_earlier_version_did_not_write(run: dict[str, Any], directory: Path) -> Path:
    del run["recording"]["guest"]["machine"]
    del run["recording"]["guest"]["cpu_model"]
    (directory / "run.json").write_text(json.dumps(run))
    manifest = Store().root / "snapshot" / run["environment"]["snapshot_hash"] / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["about"]["identity"]
    manifest.write_text(json.dumps(content))
    return manifest


def test_it_is_replayed_to_the_byte(recorded: tuple[dict[str, Any], Path], rig: Rig) -> None:
    run, directory = recorded
    assert "hpet" not in " ".join(run["command"])
    manifest = _without_what_an_earlier_version_did_not_write(run, directory)

    replayed = rig("replay", str(directory))

    manifest.unlink()
    assert replayed.status == 0, replayed.err
    assert "identical" in replayed.out


def test_recording_that_names_another_machine_than_its_snapshot_has_is_refused(
    recorded: tuple[dict[str, Any], Path], rig: Rig
) -> None:
    run, directory = recorded
    run["recording"]["guest"]["machine"] += ",hpet=off"
    (directory / "run.json").write_text(json.dumps(run))

    replayed = rig("replay", str(directory))

    assert replayed.status == 3
    assert "this version of rig would start a different guest" in replayed.err
    assert "hpet=off" in replayed.err
    assert "Traceback" not in replayed.err
