# SPDX-License-Identifier: MIT
"""A live guest is driven from outside: commands by rig ssh, files by rig cp."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


@pytest.fixture
def live(environment: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Start a live guest with a copied file and a disk, and yield its name."""
    (tmp_path / "greeting").write_text("hello\n")
    errors = (tmp_path / "errors").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "shell", "--wait", "--memory", "256M", "--disk", "32M",
         "--copy", f"{tmp_path / 'greeting'}:/work/greeting"],
        env=environment, stdout=subprocess.PIPE, stderr=errors, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "is up" in line, (tmp_path / "errors").read_text()
        yield line.split()[1]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.wait()
        errors.close()


def test_commands_and_files_go_both_ways(live: str, rig: Rig, tmp_path: Path) -> None:
    called = rig("ssh", "--guest", live, "--", "sh", "-c", "cat /work/greeting; grep -c /disk /proc/mounts; exit 5")
    assert (called.status, called.out) == (5, "hello\n1\n")

    # The wall clock is the host's, not that of the moment at which the guest's snapshot was saved.
    now = float(rig("ssh", "--guest", live, "--", "date", "+%s").out)
    assert now == pytest.approx(time.time(), abs=60)

    (tmp_path / "suite" / "case").mkdir(parents=True)
    (tmp_path / "suite" / "case" / "run.sh").write_text("echo ran > result\n")
    assert rig("cp", "--guest", live, str(tmp_path / "suite"), ":/work/").status == 0
    assert rig("ssh", "--guest", live, "--", "sh", "-c", "cd /work/suite/case && sh run.sh").status == 0
    assert rig("cp", "--guest", live, ":/work/suite/case/result", str(tmp_path / "result")).status == 0
    assert (tmp_path / "result").read_text() == "ran\n"

    missing = rig("cp", "--guest", live, ":/work/none", str(tmp_path))
    assert missing.status == 64
    assert ":/work/none: the guest has no such file" in missing.err
