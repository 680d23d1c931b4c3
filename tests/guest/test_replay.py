# SPDX-License-Identifier: MIT
"""Replays of recordings: identical to the byte, also from an imported bundle, and clear errors where impossible."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rig.image.digest import digest_file
from tests.guest.conftest import Called, Rig

pytestmark = pytest.mark.guest

SMALL = "memory-is-copied"
"""A scenario that is over at once."""


def _recorded(rig: Rig, tmp_path: Path, *words: str) -> Path:
    called = rig("run", *words, "--json")
    assert called.status in (0, 1), called.err
    return tmp_path / "runs" / str(called.run()["id"])


def _edit(directory: Path, **changes: Any) -> None:
    """Change fields of run.json: `recording__sha256=…`."""
    run = json.loads((directory / "run.json").read_text())
    for name, value in changes.items():
        at = run
        *path, last = name.split("__")
        for key in path:
            at = at[key]
        at[last] = value
    (directory / "run.json").write_text(json.dumps(run))


def _refused(called: Called, *words: str) -> None:
    assert called.status == 3, called.out + called.err
    for word in words:
        assert word in called.err
    assert "Traceback" not in called.err


@pytest.mark.parametrize(
    "words",
    [
        ("overcommit-oops",),
        ("overcommit-oops", "--set", "language=python", "--set", "every=5s"),
        ("overcommit-oops", "--sysctl", "vm.panic_on_oom=1"),
        ("overcommit-in-cgroup",),
        ("fork-returns-twice",),
        ("respawn",),
    ],
    ids=lambda words: " ".join(words),
)
def test_replay_is_identical(words: tuple[str, ...], rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, *words)

    called = rig("replay", str(directory), "-q")

    assert called.status == 0, called.out + called.err
    assert called.out.startswith("identical")


def test_replay_needs_no_console_log_and_writes_the_same(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    (directory / "console.log").rename(tmp_path / "console.log")

    called = rig("replay", str(directory), "--out", str(tmp_path / "again"))

    assert called.status == 0, called.out + called.err
    assert (tmp_path / "again/console.log").read_bytes() == (tmp_path / "console.log").read_bytes()
    assert b"invoked oom-killer" in (tmp_path / "console.log").read_bytes()


def test_another_runs_recording_differs(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    other = _recorded(rig, tmp_path, "overcommit-oops", "--set", "every=5s")
    shutil.rmtree(directory / "recording")
    shutil.copytree(other / "recording", directory / "recording")
    noted = json.loads((other / "run.json").read_text())
    _edit(
        directory,
        recording__sha256=noted["recording"]["sha256"],
        recording__size=noted["recording"]["size"],
        environment__payload_hash=noted["environment"]["payload_hash"],
    )

    called = rig("replay", str(directory), "-q")

    assert called.status == 1, called.out + called.err
    assert called.out.startswith("differs")
    assert "events.jsonl, byte" in called.out


def test_edited_console_log_differs_at_the_edit(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    console = (directory / "console.log").read_bytes()
    at = console.index(b"oom-killer")
    (directory / "console.log").write_bytes(console[:at] + b"X" + console[at + 1 :])

    called = rig("replay", str(directory), "-q")

    assert called.status == 1
    assert f"console.log, byte {at:,}," in called.out
    assert "invoked Xom-killer" in called.out


def test_flipped_bytes_are_found_by_hash_and_do_not_hang_without(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    recording = directory / "recording/replay.bin"
    content = bytearray(recording.read_bytes())
    # One byte may be one that no guest sees, such as the answer to a write to the console, and the replay is then
    # identical. Of so many one is the code of an event (replay/replay-internal.h): no event here has more than 9 bytes.
    for at in range(len(content) // 2, len(content) // 2 + 16):
        content[at] ^= 0x40
    recording.write_bytes(content)

    refused = rig("replay", str(directory), "-q")
    tried = rig("replay", str(directory), "-q", "--no-check")

    _refused(refused, "its SHA-256 differs", "replay.bin")
    assert tried.status == 1, tried.out + tried.err
    assert "Traceback" not in tried.err


def test_recording_cut_short_replays_up_to_the_cut(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    recording = directory / "recording/replay.bin"
    content = recording.read_bytes()
    recording.write_bytes(content[: len(content) * 9 // 10])

    called = rig("replay", str(directory), "-q")

    assert called.status == 1, called.out + called.err
    assert called.out.startswith("cut short")
    assert "the recording ends here" in called.out
    assert "the same for its first" in called.out


def test_two_replays_of_one_run_at_once(rig: Rig, environment: dict[str, str], tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    command = [sys.executable, "-m", "rig", "replay", str(directory), "-q"]

    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [each.communicate(timeout=200) for each in both]

    assert [each.returncode for each in both] == [0, 0], outputs


def test_other_qemu_is_said_before_it_starts(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL)
    _edit(directory, environment__qemu="version 10.0.2")

    _refused(rig("replay", str(directory)), "recorded with QEMU version 10.0.2", "RIG_QEMU")


@pytest.mark.parametrize("part", ["kernel", "initramfs", "rootfs", "snapshot"])
def test_part_that_is_missing_is_named(part: str, rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL)
    _edit(directory, **{f"recording__guest__{part}": "0" * 64})

    _refused(rig("replay", str(directory)), part, "rig import")


def test_unrecorded_run_says_why_it_cannot_be_replayed(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL, "--no-record")

    _refused(rig("replay", str(directory)), "no recording: asked for: --no-record")


def test_run_with_swap_on_a_disk_says_before_it_starts_that_it_is_not_recorded(rig: Rig, tmp_path: Path) -> None:
    called = rig("run", SMALL, "--set", "swap=64M")

    refused = called.err.index("this run is not recorded: QEMU cannot record a disk on the warp clock")
    assert refused < called.err.index("plan")
    (run,) = (tmp_path / "runs").glob("*/run.json")
    assert "cannot record a disk" in json.loads(run.read_text())["recording"]["reason"]


def test_exported_run_replays_from_an_empty_cache(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, "overcommit-oops")
    archive = tmp_path / "run.tar.zst"
    elsewhere = {"RIG_RUNS": str(tmp_path / "other/runs"), "RIG_CACHE": str(tmp_path / "other/cache")}
    assert rig("export", str(directory), str(archive)).status == 0

    # The imported run must use the parts in the bundle, not the paths of the exporting cache.
    imported = rig("import", str(archive), **elsewhere)
    _edit(
        tmp_path / "other/runs" / directory.name,
        **{f"recording__guest__{part}_path": "" for part in ("kernel", "initramfs", "rootfs")},
    )
    called = rig("replay", "last", "-q", **elsewhere)

    assert imported.status == 0, imported.err
    assert called.status == 0, called.out + called.err
    assert (tmp_path / "other/runs" / directory.name / "console.log").read_bytes() == (
        directory / "console.log"
    ).read_bytes()


def test_damaged_archive_is_refused_and_nothing_of_it_stays(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL)
    archive = tmp_path / "run.tar.zst"
    assert rig("export", str(directory), str(archive)).status == 0
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    elsewhere = {"RIG_RUNS": str(tmp_path / "other/runs"), "RIG_CACHE": str(tmp_path / "other/cache")}

    called = rig("import", str(archive), **elsewhere)

    _refused(called, "run.tar.zst")
    assert not list((tmp_path / "other").rglob("run.json"))
    assert not list((tmp_path / "other/cache/tmp").iterdir())


def test_file_that_is_no_archive_is_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "x.tar.zst").write_text("not a readable archive")

    _refused(rig("import", str(tmp_path / "x.tar.zst")), "rig did not write this archive")


def test_archive_with_a_changed_file_is_refused(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL)
    archive, plain = tmp_path / "run.tar.zst", tmp_path / "run.tar"
    assert rig("export", str(directory), str(archive)).status == 0
    subprocess.run(["zstd", "-q", "-d", str(archive), "-o", str(plain)], check=True)
    content = bytearray(plain.read_bytes())
    at = content.index(b"memory-is-copied", content.index((directory / "run.json").read_bytes()[:200]))
    content[at] ^= 1
    plain.write_bytes(content)
    subprocess.run(["zstd", "-q", "-f", str(plain), "-o", str(archive)], check=True)

    _refused(rig("import", str(archive)), "is not what its hash says")


def test_archive_with_qemu_options_is_taken_only_when_trusted(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL, "--qemu-arg=-msg", "--qemu-arg=timestamp=off")
    archive = tmp_path / "run.tar.zst"
    assert rig("export", str(directory), str(archive)).status == 0
    elsewhere = {"RIG_RUNS": str(tmp_path / "other/runs")}

    _refused(rig("import", str(archive), **elsewhere), "-msg timestamp=off", "--trust")
    assert rig("import", str(archive), "--trust", **elsewhere).status == 0


def test_noted_hash_is_the_recordings(rig: Rig, tmp_path: Path) -> None:
    directory = _recorded(rig, tmp_path, SMALL)

    noted = json.loads((directory / "run.json").read_text())["recording"]

    assert noted["sha256"] == digest_file(directory / noted["path"])
    assert noted["console_sha256"] == digest_file(directory / "console.log")
