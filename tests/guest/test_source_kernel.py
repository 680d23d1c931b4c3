# SPDX-License-Identifier: MIT
"""A kernel from Debian's source with rig's fragments, built here. If `make test` is building it, the test waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.apt import host_suite
from rig.verify.measure import ZRAM
from tests.guest.conftest import Rig

BUILD_DEADLINE = 1100
pytestmark = [pytest.mark.guest, pytest.mark.timeout(BUILD_DEADLINE + 200)]


@pytest.fixture(scope="module")
def kernel() -> str:
    """Build the kernel and return its spelling. If another process is building it, rig waits for that one's lock."""
    try:
        spec = f"source:{host_suite()}"
    except RigError as error:
        pytest.skip(f"the mirror does not serve a kernel's source: {error}")
    done = subprocess.run(
        [sys.executable, "-m", "rig", "kernel", "build", spec],
        capture_output=True,
        text=True,
        timeout=BUILD_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return spec


def test_main_job_is_reproduced_on_it_and_replayed(kernel: str, rig: Rig) -> None:
    called = rig("run", "overcommit-oops", "--kernel", kernel, "--json")

    run = called.run()
    assert run["verdict"] == "reproduced", called.out
    assert run["environment"]["kernel"].endswith("-rig")
    assert run["environment"]["kernel_package"].startswith("linux-source-")
    replayed = rig("replay", run["id"])
    assert replayed.status == 0, replayed.out + replayed.err


def test_run_boots_it_where_the_user_chose_it_and_not_because_it_is_there(
    kernel: str, rig: Rig, tmp_path: Path
) -> None:
    nothing = {"RIG_KERNEL": "", "RIG_CONFIG": str(tmp_path)}

    before = rig("run", "memory-is-copied", "--json", **nothing).run()["environment"]
    rig("kernel", "use", kernel, **nothing)
    after = rig("run", "memory-is-copied", "--json", **nothing).run()["environment"]

    assert (before["kernel_name"].partition(":")[0], before["kernel_reason"]) == ("debian", "this host's suite")
    assert (after["kernel_name"], after["kernel_reason"]) == (kernel, "rig kernel use")


def test_live_guest_on_it_takes_its_payload_by_ssh(kernel: str, rig: Rig) -> None:
    called = rig("run", "fork-returns-twice", "--kernel", kernel, "--clock", "live", "--accel", "tcg", "--json")

    assert called.run()["verdict"] == "reproduced", called.out + called.err


@pytest.mark.parametrize("form", ["bzImage", "vmlinux"])
def test_both_of_its_files_boot_by_their_path(form: str, kernel: str, rig: Rig) -> None:
    booted = rig("run", "memory-is-copied", "--kernel", kernel, "--json").run()["recording"]["guest"]["kernel_path"]

    called = rig("run", "memory-is-copied", "--kernel", str(Path(booted).with_name(form)), "--json")

    assert called.run()["verdict"] == "reproduced", called.out + called.err


def test_swap_to_a_disk_and_to_zram_work_on_it(kernel: str, rig: Rig) -> None:
    for setting in ("swap=64M", f"zram={ZRAM >> 20}M"):
        called = rig("run", "overcommit-oops", "--kernel", kernel, "--set", setting, "--set", "every=1s", "--json")

        assert called.status in (0, 1), called.err


def test_bisection_reads_its_verdict(kernel: str, rig: Rig) -> None:
    words = ("run", "memory-is-copied", "--bisect", "--kernel", kernel, "-q")

    assert rig(*words, "--good", "reproduced").status == 0
    assert rig(*words, "--good", "not-reproduced").status == 1
