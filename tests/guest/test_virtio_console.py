# SPDX-License-Identifier: MIT
"""A guest whose console is hvc0: the log has all that it would have on ttyS0."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest

SMALL = ("--set", "parent=40M", "--set", "hog=70M", "--set", "every=1ms", "--set", "memory=208M")


def shape(log: Path) -> list[str]:
    """Return the first word of each of a log's lines: the others have numbers, addresses and free lists.

    Without stale frames of a trace (`?`), and the lines of the power-off, which hvc0 does not have on newer kernels.
    """
    lines = log.read_text(errors="replace").partition("ACPI: PM: Preparing")[0].splitlines()
    texts = [line.partition("] ")[2].split() for line in lines if "] " in line and "]  ? " not in line]
    return [re.sub(r"[^a-zA-Z]+.*", "", words[0]) for words in texts if words]


def test_report_is_the_same_on_both_consoles_and_the_run_says_that_it_is_not_recorded(
    rig: Rig, environment: dict[str, str]
) -> None:
    logs = []
    for words in (("--virtio-console",), ()):
        run = rig("run", "overcommit-oops", *SMALL, *words, "--json").run()
        assert run["verdict"] == "reproduced"
        logs.append(Path(environment["RIG_RUNS"]) / run["id"] / "console.log")
        assert (run["recording"]["path"] is None) == ("--virtio-console" in words)
    reports = [shape(log) for log in logs]

    assert reports[0] == reports[1]
    assert "invoked oom-killer" in logs[0].read_text(errors="replace")
    assert not logs[0].with_name("serial.log").exists()


def test_panic_is_printed_to_its_end(rig: Rig, environment: dict[str, str]) -> None:
    panicking = ("run", "overcommit-oops", *SMALL, "--sysctl", "vm.panic_on_oom=1", "--json")
    here, there = (rig(*panicking, *words).run() for words in (("--virtio-console",), ()))

    logs = [Path(environment["RIG_RUNS"]) / run["id"] / "console.log" for run in (here, there)]
    assert shape(logs[0]) == shape(logs[1])
    assert "Kernel panic - not syncing" in logs[0].read_text(errors="replace")
    assert here["verdict"] == "reproduced"
    assert "virtio console" in here["recording"]["reason"]


def test_what_is_printed_before_the_driver_is_there_is_in_the_log(rig: Rig, environment: dict[str, str]) -> None:
    run = rig("run", "overcommit-oops", *SMALL, "--virtio-console", "--json").run()

    boot = (Path(environment["RIG_RUNS"]) / run["id"] / "boot.log").read_text(errors="replace")
    assert boot.count("Linux version") == 1
    assert boot.index("Linux version") < boot.index("[hvc0] enabled") < boot.index("drop_caches")
    assert boot.count("[hvc0] enabled") == 1


def test_kernel_that_dies_before_the_driver_is_read_on_ttys0(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", *SMALL, "--virtio-console", "--append", "rdinit=/none root=/none")

    assert called.status == 3
    assert "mount_block_root" in called.err or "mount_root_generic" in called.err
    assert "Traceback" not in called.err


def test_live_guest_refuses_it(rig: Rig) -> None:
    called = rig("run", "overcommit-oops", "--virtio-console", "--clock", "live")

    assert called.status == 64
    assert "--virtio-console" in called.err


def run_of(rig: Rig, environment: dict[str, str], directory: Path, script: str) -> Path:
    """Run a shell script in a guest with a virtio console, and return the run's directory."""
    program = directory / "script.sh"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    assert rig("exec", "--virtio-console", "-q", "--", str(program)).status == 0
    [run] = Path(environment["RIG_RUNS"]).glob("2*")
    return run


def test_program_that_puts_ttys0_back_removes_nothing_from_the_log(
    rig: Rig, environment: dict[str, str], tmp_path: Path
) -> None:
    back = "echo first line > /dev/kmsg; echo Y > /sys/class/tty/ttyS0/console; echo second line > /dev/kmsg"

    run = run_of(rig, environment, tmp_path, back)

    log = (run / "console.log").read_text(errors="replace")
    assert log.index("first line") < log.index("second line")
    assert "second line" in (run / "serial.log").read_text(errors="replace")


def test_noise_of_a_program_is_complete(rig: Rig, environment: dict[str, str], tmp_path: Path) -> None:
    noise = 'i=0; while [ $i -lt 500 ]; do echo "noise $i end" > /dev/kmsg; i=$((i+1)); done'

    run = run_of(rig, environment, tmp_path, noise)

    log = (run / "console.log").read_text(errors="replace")
    assert re.findall(r"noise (\d+) end", log) == [str(number) for number in range(500)]
