# SPDX-License-Identifier: MIT
"""The runs keep their bound: old recordings go, and no result does."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.experiment import runs_use
from rig.experiment.runs_use import bytes_of_runs, drop_recordings, keep_runs_bound
from rig.in_use import hold, using_entries
from rig.replay.replayable import bundled_parts
from rig.run.damage import damaged_files, digest_files
from rig.run.directory import read_run, rewrite_run, run_directories, use_run
from rig.run.document import Run
from rig.run.imported import write_imported
from rig.run.references import needed_by_recordings

MB = 1 << 20


def kept(root: Path, number: int) -> Path:
    """Write a run with a recording of 1 MB. The lower the number, the longer ago it was used."""
    directory = root / f"20261101-1010{number:02}-abcd"
    (directory / "recording").mkdir(parents=True)
    (directory / "recording/replay.bin").write_bytes(bytes(range(256)) * (MB // 256))
    (directory / "console.log").write_text("Linux\n")
    files = digest_files(directory)
    guest = {
        "memory": 1, "cpus": 1, "payload_size": 1, "kernel": "k", "initramfs": "i", "rootfs": "r",
        "snapshot": f"s{number}",
    }  # fmt: skip
    run = Run.model_validate(
        {"id": directory.name, "scenario": "s", "started": "2026-11-01T10:10:00+00:00", "verdict": "reproduced",
         "files": files, "recording": {"path": "recording/replay.bin", "size": MB, "guest": guest}}
    )  # fmt: skip
    rewrite_run(directory, run)
    os.utime(directory, (1000 + number, 1000 + number))
    return directory


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Six runs, of which the newest two keep their recordings by their number."""
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(runs_use, "NEWEST", 2)
    monkeypatch.setattr(runs_use, "remove_staging_directories", lambda older: 0)  # those of this machine
    return [kept(tmp_path / "runs", number) for number in range(6)]


def recorded(runs: list[Path]) -> list[int]:
    return [number for number, directory in enumerate(runs) if (directory / "recording").exists()]


def test_recordings_not_used_for_longest_go_and_their_runs_stay_whole(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_RUNS_SIZE", "5M")
    with using_entries():
        use_run(runs[0])

    keep_runs_bound(runs[-1])

    assert recorded(runs) == [0, 3, 4, 5]
    assert "the recordings of 2 not used for longest were removed, 2.0 MB" in caplog.text
    assert len(run_directories(runs[0].parent)) == 6
    run = read_run(runs[1])
    assert run.verdict == "reproduced"
    assert "RIG_RUNS_SIZE" in (run.recording.reason or "")
    assert damaged_files(run, runs[1]) == {}
    assert "s1" not in needed_by_recordings()
    assert "s3" in needed_by_recordings()


def test_runs_within_their_bound_are_left_as_they_are(runs: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    keep_runs_bound(runs[-1])

    assert recorded(runs) == [0, 1, 2, 3, 4, 5]
    assert caplog.text == ""


def test_imported_runs_newest_runs_and_those_in_use_keep_their_recordings(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_RUNS_SIZE", "1M")
    write_imported(runs[1], {"kernel": "k"})

    with using_entries():
        hold(runs[2])
        keep_runs_bound(runs[-1])

    assert recorded(runs) == [1, 2, 4, 5]
    assert "above their bound (RIG_RUNS_SIZE): rig runs rm" in caplog.text


def test_run_without_its_recording_keeps_the_options_of_its_guest_and_the_digests_of_its_logs(runs: list[Path]) -> None:
    run = read_run(runs[0])
    assert run.recording.guest is not None
    guest = run.recording.guest.model_copy(update={"append": ("panic_on_warn",)})
    logged = run.files["console.log"]
    recording = run.recording.model_copy(update={"guest": guest, "console_sha256": logged})
    # As an earlier version wrote it, which kept no digests of files.
    rewrite_run(runs[0], run.model_copy(update={"recording": recording, "files": {}}))

    drop_recordings(runs[0].parent, 0, bytes_of_runs(runs[0].parent))

    after = read_run(runs[0])
    assert after.recording.path is None
    assert after.recording.guest == guest
    assert bundled_parts(after) == []
    (runs[0] / "console.log").write_text("something else\n")
    assert list(damaged_files(after, runs[0])) == ["console.log"]


def test_run_whose_document_was_changed_is_left_as_it_is(runs: list[Path], caplog: pytest.LogCaptureFixture) -> None:
    document = runs[0] / "run.json"
    document.write_text(document.read_text().replace('"reproduced"', '"invalid"'))

    drop_recordings(runs[0].parent, 0, bytes_of_runs(runs[0].parent))

    assert recorded(runs) == [0, 4, 5]
    assert caplog.text == ""
    read_run(runs[0])
    assert "was changed after it was written" in caplog.text


def test_run_that_cannot_be_read_keeps_its_recording(runs: list[Path]) -> None:
    (runs[0] / "run.json").write_text("{")

    drop_recordings(runs[0].parent, 0, bytes_of_runs(runs[0].parent))

    assert recorded(runs) == [0, 4, 5]


def test_recording_that_a_power_cut_left_goes_with_the_next(runs: list[Path]) -> None:
    run = read_run(runs[0])
    rewrite_run(runs[0], run.model_copy(update={"recording": run.recording.model_copy(update={"path": None})}))

    drop_recordings(runs[0].parent, 0, bytes_of_runs(runs[0].parent))

    assert recorded(runs) == [4, 5]


def test_many_runs_are_measured_now_and_then_and_after_a_large_recording(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIG_RUNS_SIZE", "1M")
    monkeypatch.setattr(runs_use, "FEW", 3)
    monkeypatch.setattr(runs_use, "ONE_IN", 1 << 40)
    keep_runs_bound(runs[-1])
    assert recorded(runs) == [0, 1, 2, 3, 4, 5]

    monkeypatch.setattr(runs_use, "LARGE", MB)
    keep_runs_bound(runs[-1])

    assert recorded(runs) == [4, 5]


def test_bound_that_is_no_size_is_an_error_with_its_name(runs: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_RUNS_SIZE", "3 apples")

    with pytest.raises(RigError, match="RIG_RUNS_SIZE"):
        keep_runs_bound(runs[-1])


def test_unfinished_run_of_a_killed_rig_goes_unasked_after_a_day(
    runs: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    root = runs[0].parent
    young, old, living = (root / f".unfinished-20261101-10101{number}-abcd" for number in range(3))
    for path, hours in ((young, 2), (old, 30), (living, 30)):
        path.mkdir()
        (path / ".lock").touch()
        for each in (path / ".lock", path):
            os.utime(each, (time.time() - 3600 * hours,) * 2)

    with (living / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keep_runs_bound(runs[-1])

    assert [path.exists() for path in (young, old, living)] == [True, False, True]
    assert "unfinished runs of killed rigs were removed: 1" in caplog.messages
