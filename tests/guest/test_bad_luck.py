# SPDX-License-Identifier: MIT
"""Faults of the host during a run: each ends with a clear error and its exit status, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest.conftest import Rig, qemus, qemus_that_stay

pytestmark = pytest.mark.guest


def _begin(environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rig", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _until_printed(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    pytest.fail(f"rig never printed '{text}'")


@pytest.mark.parametrize("phase", ["prepare", "restore", "plan"])
def test_interrupt_leaves_nothing(phase: str, environment: dict[str, str], tmp_path: Path) -> None:
    process = _begin(environment, "run", "overcommit-oops", "--to-the-end")
    _until_printed(process, phase)

    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


def test_killed_rig_takes_its_qemu_along(environment: dict[str, str]) -> None:
    process = _begin(environment, "run", "overcommit-oops", "--to-the-end")
    _until_printed(process, "plan")
    ours = qemus(environment)

    process.kill()
    process.communicate(timeout=60)

    assert len(ours) == 1
    assert not qemus_that_stay(environment)


def test_qemu_killed_in_the_middle_is_an_error_with_what_was_heard(environment: dict[str, str], tmp_path: Path) -> None:
    process = _begin(environment, "run", "overcommit-oops", "--to-the-end")
    _until_printed(process, "filled")
    (ours,) = qemus(environment)

    os.kill(ours, signal.SIGKILL)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 3, err
    assert out.startswith("error")
    assert "signal 9" in out
    (directory,) = (tmp_path / "runs").iterdir()
    assert (directory / "events.jsonl").stat().st_size > 0
    recording = json.loads((directory / "run.json").read_text())["recording"]
    assert recording["path"] is None
    assert "did not finish its recording" in recording["reason"]


@pytest.mark.parametrize(
    ("file", "mended"), [("state", "it is put back from a copy"), ("ram.sparse", "it is built again")]
)
def test_damaged_snapshot_is_found_and_mended(rig: Rig, file: str, mended: str) -> None:
    first = rig("run", "overcommit-oops", "--memory", "400M", "--set", "hog=90M", "--json")
    key = first.run()["environment"]["snapshot_hash"]
    cache = Path(os.environ.get("RIG_CACHE") or Path.home() / ".cache/rig")
    with (cache / "snapshot" / key / file).open("r+b") as damaged:
        damaged.seek(100_000)
        damaged.write(b"damage")

    second = rig("run", "overcommit-oops", "--memory", "400M", "--set", "hog=90M", "--json")

    assert second.status == first.status
    assert f"snapshot was damaged on disk ({file}): {mended}" in second.err


def test_qemu_that_is_missing_is_named_with_its_package(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", RIG_QEMU="/nowhere/qemu-system-x86_64")

    assert called.status == 3
    assert "apt-get install qemu-system-x86" in called.err
    assert "Traceback" not in called.err


def test_old_qemu_is_refused(rig: Rig, tmp_path: Path) -> None:
    old = tmp_path / "qemu"
    old.write_text("#!/bin/sh\necho 'QEMU emulator version 5.2.0'\n")
    old.chmod(0o755)

    called = rig("run", "overcommit-oops", RIG_QEMU=str(old))

    assert called.status == 3
    assert "QEMU 5.2 is too old" in called.err


def test_program_that_exits_early_is_invalid(rig: Rig, tmp_path: Path) -> None:
    directory = tmp_path / "early"
    directory.mkdir()
    (directory / "early.c").write_text("int main(void) { return 7; }\n")
    (directory / "scenario.toml").write_text(
        'title = "early"\nsummary = "a program that exits before it is ready"\n'
        '[[programs]]\nname = "early"\nsource = "early.c"\n'
        "[plan]\nsteps = [\n"
        '  { do = "spawn", program = "early" },\n'
        '  { do = "wait_line", program = "early", text = "ready", timeout = 5 },\n]\n'
        '[[claims]]\nid = "ready"\ntext = "it was ready"\nexpr = "len(lines) > 0"\n'
    )

    called = rig("run", str(directory))

    assert called.status == 2, called.out + called.err
    assert "wait_line" in called.out


def test_program_that_does_not_compile_shows_the_compilers_words(rig: Rig, tmp_path: Path) -> None:
    directory = tmp_path / "broken"
    directory.mkdir()
    (directory / "broken.c").write_text("int main(void) { return x; }\n")
    (directory / "scenario.toml").write_text(
        'title = "broken"\nsummary = "does not compile"\n'
        '[[programs]]\nname = "broken"\nsource = "broken.c"\n'
        '[plan]\nsteps = [ { do = "spawn", program = "broken" } ]\n'
        '[[claims]]\nid = "any"\ntext = "any"\nexpr = "True"\n'
    )

    called = rig("run", str(directory))

    assert called.status == 64
    assert "broken.c:1" in called.err


def test_full_disk_while_saving_a_snapshot(rig: Rig, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    cache = Path(os.environ.get("RIG_CACHE") or Path.home() / ".cache/rig")
    kept = [cache / name for name in ("refs", "kernel", "rootfs", "initramfs", "toolchain")]
    size = sum(path.stat().st_blocks * 512 for directory in kept for path in directory.rglob("*"))
    small = tmp_path / "small"
    small.mkdir()
    # Room for the cache's present entries and a third of a snapshot, so that saving the snapshot fills the disk.
    options = f"size={(size >> 20) + 40}m"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(small)], check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        for directory in kept:
            # Images are sparse files. A plain copy would fill their holes, and with them the small disk.
            subprocess.run(["cp", "-a", "--sparse=always", directory, small], check=True)

        called = rig("run", "overcommit-oops", RIG_CACHE=str(small))

        assert called.status == 3, called.err
        assert "the disk is full" in called.err
        assert "RIG_CACHE" in called.err
        assert not list((small / "tmp").iterdir())
        assert not (small / "snapshot").exists() or not list((small / "snapshot").iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("kilobytes", [16, 600])
def test_full_disk_while_a_run_is_recorded(kilobytes: int, rig: Rig, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    small = tmp_path / "small"
    small.mkdir()
    options = f"size={kilobytes}k"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(small)], check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    try:
        called = rig("run", "overcommit-oops", RIG_RUNS=str(small))

        assert called.status == 3, called.err
        assert "No space left on device" in called.err or "the disk is full" in called.err
        assert "RIG_RUNS" in called.err
        assert "Traceback" not in called.err
        assert "a bug in rig" not in called.err
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", str(small)], check=True)
