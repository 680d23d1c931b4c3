# SPDX-License-Identifier: MIT
"""No terminal control of an imported run reaches the terminal, whichever command prints the run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rig.image.store import Store
from rig.replay.import_bundle import import_run
from tests.calling import calling
from tests.replay.made_archive import RUN_ID, MadeArchive, run_json
from tests.scenario.made import Made

EVIL = "\x1b]0;title\x07\x1b[31mred\x9b2J\u202ekcab\x7f\r\x08"
CONTROLS = set(EVIL) - set("]0;title[31mred2Jkcab")


def evil_run() -> dict[str, object]:
    """Return a run.json in which every text that a person reads has terminal controls."""
    claim = {"id": f"claim{EVIL}", "text": f"text{EVIL}", "verdict": "failed", "reason": EVIL, "expr": EVIL,
             "values": [{"name": f"value{EVIL}", "value": 1, "unit": EVIL, "shown": f"one{EVIL}"}]}  # fmt: skip
    return run_json(
        scenario=f"scenario{EVIL}",
        title=f"title{EVIL}",
        scenario_directory=f"/{EVIL}",
        verdict="invalid",
        reason=f"reason{EVIL}",
        end_reason=EVIL,
        claims=[claim],
        parameters={f"name{EVIL}": EVIL},
        parameters_shown={f"name{EVIL}": f"shown{EVIL}"},
        sysctls={f"vm.{EVIL}": EVIL},
        settings={f"set{EVIL}": f"to{EVIL}"},
        command=["rig", f"command{EVIL}"],
        roles={f"role{EVIL}": 7},
        left_out={f"file{EVIL}": 7},
        panic=f"panic{EVIL}",
        phases=[{"name": f"phase{EVIL}", "host_seconds": 1.0}],
        environment__qemu=f"version{EVIL}",
        environment__host=f"host{EVIL}",
        environment__rig=f"rig{EVIL}",
        environment__accelerator=f"tcg{EVIL}",
        environment__accelerator_reason=f"because{EVIL}",
        environment__kernel=f"6.1{EVIL}",
        environment__kernel_name=f"debian:spec{EVIL}",
        environment__kernel_reason=EVIL,
        environment__kernel_package=f"linux{EVIL}",
        environment__image_name=f"image{EVIL}",
        environment__notes=[f"note{EVIL}"],
        recording__reason=f"unrecorded{EVIL}",
    )


@pytest.fixture
def imported(places: Path) -> Path:
    report = "".join(f"[  161.000000] {line}{EVIL}\r\n" for line in Made()._report())
    events = json.dumps({"ev": "ready", "n": 0, "t": 1, "kernel": EVIL}) + "\n"
    files = {"run/console.log": report.encode(), "run/events.jsonl": events.encode()}
    return MadeArchive(run=evil_run(), files=files).pack(places / "x")


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["report", RUN_ID],
        ["compare", RUN_ID, RUN_ID],
        ["watch", RUN_ID, "--replay", "--seconds", "0"],
        ["replay", RUN_ID],
        ["cache"],
        ["runs", "--json"],
        ["branch", RUN_ID, "--at", "forked"],
        ["cure", RUN_ID],
        ["export", RUN_ID, "out.tar.zst"],
        ["post-mortem", RUN_ID],
        ["runs", "rm", RUN_ID],
    ],
    ids=" ".join,
)
def test_command_that_prints_an_imported_run_prints_none_of_its_controls(
    words: list[str],
    imported: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    import_run(Store(), imported)
    monkeypatch.chdir(imported.parent)

    done = calling(capsys)(*words)

    assert done.returncode in (0, 1, 2, 3, 64)
    assert "No such" not in done.stderr
    assert done.stdout + done.stderr
    assert not set(done.stdout + done.stderr + caplog.text) & CONTROLS


def test_import_prints_none_of_its_controls(imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = calling(capsys)("import", str(imported))

    assert done.returncode == 0
    assert "added kernel" in done.stdout
    assert not set(done.stdout + done.stderr) & CONTROLS
