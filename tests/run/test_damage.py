# SPDX-License-Identifier: MIT
"""Every command that reads a run's file which was changed after the run names that file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from rig.cli.app import app
from rig.run.damage import damaged_files, digest_files, warn_of_damaged_file
from rig.run.directory import list_runs, open_run, read_run
from rig.run.document import Run
from rig.seal import seal, seal_is_broken


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    with open_run() as opened:
        (opened.directory / "console.log").write_bytes(b"[    0.000000] Linux version 6.1\n")
        (opened.directory / "events.jsonl").write_bytes(b'{"ev":"ready","n":0,"t":1.0}\n')
        opened.keep(
            Run.model_validate(
                {"id": opened.id, "scenario": "s", "started": "2025-01-31T12:00:00+00:00", "verdict": "reproduced",
                 "files": digest_files(opened.directory)}
            )
        )  # fmt: skip
    return opened.directory


def called(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_run_as_it_was_written_has_no_damage(run: Path) -> None:
    assert damaged_files(read_run(run), run) == {}


@pytest.mark.parametrize(
    ("data", "problem"),
    [(b"", "it is empty"), (b"[    0.000000] Linux version 6.2\n", "it is damaged"), (None, "is missing")],
)
@pytest.mark.parametrize("name", ["console.log", "events.jsonl"])
def test_damage_is_named(name: str, data: bytes | None, problem: str, run: Path) -> None:
    (run / name).unlink()
    if data is not None:
        (run / name).write_bytes(data)

    found = damaged_files(read_run(run), run)

    assert list(found) == [name]
    assert problem in found[name]


@pytest.mark.parametrize("words", [("report",), ("compare", "last"), ("explain",), ("watch",)])
def test_command_that_reads_a_damaged_run_says_so(
    words: tuple[str, ...], run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run / "console.log").write_bytes(b"[    0.000000] Linux version 6.2\n")
    name, *others = words

    called(name, "last", *others, *(["--replay", "--seconds", "0"] if name == "watch" else []))

    assert f"run {run.name}: console.log is not what the run wrote" in caplog.text


def test_report_of_a_damaged_run_says_so_on_the_page(run: Path) -> None:
    (run / "events.jsonl").write_bytes(b"")

    called("report", "last")

    assert "events.jsonl is not what the run wrote: it is empty" in (run / "report.html").read_text()


def test_export_of_a_damaged_run_says_so(run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "console.log").write_bytes(b"")

    assert called("export", "last", str(tmp_path / "x")).exit_code == 0
    assert "console.log is not what the run wrote" in caplog.text


def test_run_json_that_was_changed_is_said(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = (run / "run.json").read_text()
    (run / "run.json").write_text(text.replace('"scenario": "s"', '"scenario": "z"'))

    assert read_run(run).scenario == "z"
    assert "run.json was changed after it was written" in caplog.text


@pytest.mark.parametrize("name", ["/etc/hostname", "../outside"])
def test_file_outside_the_directory_is_not_read(name: str, run: Path) -> None:
    found = read_run(run).model_copy(update={"files": {name: "0" * 64}})

    assert damaged_files(found, run)[name] == "lies outside the run's directory"


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"files": 7}', b'{"recording": 7}', b"[" * 100_000, b"\xff"])
def test_log_beside_a_run_json_that_cannot_be_read_is_explained_all_the_same(text: bytes, run: Path) -> None:
    (run / "run.json").write_bytes(text)

    warn_of_damaged_file(run / "console.log")

    assert list_runs(run.parent)[0].run is None


@pytest.mark.parametrize("text", ['{"a":1}', '{\n "a": 1\n}', '{\n "a": [1, 2]\n}\n'])
def test_seal_is_broken_by_any_byte(text: str) -> None:
    sealed = seal(text).encode()
    length = sealed.rindex(b",")

    assert not seal_is_broken(sealed)
    assert not seal_is_broken(sealed + b"\n")
    assert not seal_is_broken(text.encode())
    assert all(seal_is_broken(bytes([*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]])) for at in range(length))


def test_sweep_that_is_broken_does_not_hide_the_others(run: Path) -> None:
    golden = Path(__file__).parent / "golden/runs/sweeps"
    shutil.copytree(golden, run.parent / "sweeps")
    broken, whole = sorted(path for path in (run.parent / "sweeps").iterdir())[:2]
    (broken / "sweep.json").write_bytes(b"")

    listed = called("results")
    as_json = called("results", "--json")

    assert listed.exit_code == as_json.exit_code == 0
    assert f"{broken.name}  cannot be read: not a sweep" in listed.stdout
    assert f"{whole.name}  " in listed.stdout
    assert '"problem": "not a sweep' in as_json.stdout
