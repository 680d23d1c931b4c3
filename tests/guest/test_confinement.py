# SPDX-License-Identifier: MIT
"""The privileges of a running QEMU on the host, as /proc/PID/status shows them."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.guest


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _qemu_of(parent: int) -> int | None:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes()
            found = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if found == parent and b",process=rig-" in words:
            return int(path.name)
    return None


def test_running_qemu_has_no_privileges(environment: dict[str, str]) -> None:
    call = [sys.executable, "-m", "rig", "run", "overcommit-oops", "-q"]

    with subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        seen: list[dict[str, str]] = []
        while process.poll() is None:
            if (pid := _qemu_of(process.pid)) is not None:
                try:
                    seen.append(_status(pid))
                except OSError:
                    continue
            time.sleep(0.02)

    # QEMU drops its privileges while it starts, so only its last state, in which it runs the guest, is checked.
    last = next(status for status in reversed(seen) if status["State"][0] != "Z" and "Seccomp" in status)
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else os.geteuid()
    assert set(last["Uid"].split()) == {str(user)}
    assert int(last["CapEff"], 16) == int(last["CapPrm"], 16) == int(last["CapInh"], 16) == int(last["CapAmb"], 16) == 0
    assert last["NoNewPrivs"] == "1"
    assert last["Seccomp"] == "2"
