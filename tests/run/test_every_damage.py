# SPDX-License-Identifier: MIT
"""Each file of a run, of a sweep and of a threshold search, damaged in each way, before each command that reads it.

A command that reads a damaged file says so, by a message that names the file or by an error.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from rig.errors import RigError
from rig.run.damage import digest_files
from rig.run.directory import open_run
from rig.run.document import Run
from rig.run.verdict import Verdict
from rig.seal import seal
from rig.sweep.axes import Axis, SweepPlan
from rig.sweep.directory import SweepDirectory, find_sweep, new_sweep, write_plan
from rig.sweep.journal import append_row
from rig.sweep.row import Row
from tests.replay.made_archive import digest
from tests.run.test_damage import called

GOLDEN = Path(__file__).parent / "golden/runs"
FILES = ("console.log", "events.jsonl", "run.json", "timeline.csv", "recording/replay.bin")
SAMPLE = (
    b'{"n":1,"t":1.5,"ev":"sample","label":"a","meminfo":{"MemTotal":400000,"MemFree":300000,"MemAvailable":300000},'
    b'"procs":[]}\n'
)


def _flipped(data: bytes) -> bytes:
    """Return the data with one bit of a digit changed: JSON, CSV and text of a log stay valid."""
    at = next(at for at in range(len(data) // 2, len(data)) if data[at : at + 1].isdigit())
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": _flipped,
    "cut": lambda data: data[: len(data) * 2 // 3],
    "cut at a line": lambda data: data[: data.rstrip(b"\n").rfind(b"\n") + 1],
    "emptied": lambda data: b"",
    "deleted": lambda data: None,
}


def damaged(path: Path, damage: str) -> None:
    data = DAMAGES[damage](path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)


@pytest.fixture
def run(places: Path) -> Path:
    with open_run() as opened:
        (opened.directory / "console.log").write_bytes(b"[    0.000000] Linux version 6.1\n" * 3)
        (opened.directory / "events.jsonl").write_bytes(b'{"n":0,"t":1.0,"ev":"ready"}\n' + SAMPLE)
        (opened.directory / "timeline.csv").write_bytes(b"t,label\n1.5,a\n2.5,b\n")
        (opened.directory / "recording").mkdir()
        (opened.directory / "recording/replay.bin").write_bytes(b"0123456789\n" * 9)
        known: dict[str, Any] = {
            "id": opened.id, "scenario": "s", "started": "2025-01-31T12:00:00+00:00", "verdict": "reproduced",
            "files": digest_files(opened.directory),
            "recording": {"path": "recording/replay.bin", "sha256": digest(b"0123456789\n" * 9)},
        }  # fmt: skip
        opened.keep(Run.model_validate(known))
    return opened.directory


def said(result: Result, log: str, *names: str) -> bool:
    """Return whether a command failed with a message of rig's, or named one of the files in a warning."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        if not isinstance(result.exception, RigError):
            raise result.exception
        return True
    return any(name in log for name in names)


def _readers(run: Path, archive: Path) -> tuple[tuple[str, ...], ...]:
    """Return the commands that read a run."""
    return (
        ("report", str(run)),
        ("compare", str(run), str(run)),
        ("export", str(run), str(archive)),
        ("watch", str(run), "--replay", "--seconds", "0"),
    )


def test_each_command_reads_an_undamaged_run_without_a_message(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    statuses = {words[0]: called(*words).exit_code for words in _readers(run, tmp_path / "x")}

    assert statuses == dict.fromkeys(statuses, 0)
    assert caplog.text == ""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damaged_file_of_a_run_is_said_by_each_command(
    name: str, damage: str, run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(run / name, damage)
    silent = []

    for words in _readers(run, tmp_path / "x"):
        caplog.clear()
        if not said(called(*words), caplog.text, name):
            silent.append(words[0])

    assert silent == []


@pytest.fixture
def sweep(run: Path) -> SweepDirectory:
    plan = SweepPlan("memory-is-copied", (Axis("pages", ("1", "2", "3")),), fixed=(("page", "0"),))
    made = new_sweep(plan)
    for point in range(plan.size):
        append_row(made.journal, _row(point))
    return made


def _row(point: int, verdict: Verdict = "reproduced") -> Row:
    return Row(point=point, repeat=1, settings={"pages": str(point + 1)}, verdict=verdict, run=f"r{point}", seconds=1.5)


def test_each_command_reads_an_undamaged_sweep_without_a_message(
    sweep: SweepDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    assert called("results", sweep.id).exit_code == 0
    assert caplog.text == ""
    assert called("results").stdout.endswith("  3 runs\n")
    assert called("report", str(sweep.path)).exit_code == 0
    assert caplog.text == ""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["sweep.json", "rows.jsonl"])
def test_damaged_file_of_a_sweep_is_said(
    name: str, damage: str, sweep: SweepDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(sweep.path / name, damage)

    if name == "rows.jsonl":
        assert " of 3 runs\n" in called("results").stdout
    for words in (("results", sweep.id), ("results", sweep.id, "--json"), ("report", str(sweep.path))):
        caplog.clear()
        assert said(called(*words), caplog.text, name, f"sweep {sweep.id}: "), words


@pytest.fixture
def search(places: Path) -> Path:
    found = places / "runs/sweeps/20261125-154743-7e4s"
    shutil.copytree(GOLDEN / "sweeps" / found.name, found)
    _sealed(found)
    return found


def test_each_command_reads_an_undamaged_threshold_search_without_a_message(
    search: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert called("results", search.name).exit_code == 0
    assert called("report", str(search)).exit_code == 0
    assert caplog.text == ""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["sweep.json", "rows.jsonl", "frontier.json"])
def test_damaged_file_of_a_threshold_search_is_said(
    name: str, damage: str, search: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged(search / name, damage)

    for words in (("results", search.name), ("report", str(search))):
        caplog.clear()
        assert said(called(*words), caplog.text, name, f"sweep {search.name}: "), words


def _sealed(search: Path) -> None:
    """Write the files of a search of an earlier version as this one does, with seals."""
    found = find_sweep(str(search))
    rows = found.rows()
    found.journal.unlink()
    for row in rows:
        append_row(found.journal, row)
    write_plan(search, replace(found.plan, searched=True))
    text = (search / "frontier.json").read_text()
    (search / "frontier.json").write_text(seal(text) + "\n")
