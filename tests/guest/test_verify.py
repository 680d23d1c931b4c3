# SPDX-License-Identifier: MIT
"""The checks of the kernel's rules in guests: they pass, and none passes where a condition of its rule is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.guest.conftest import COMMAND_DEADLINE, Rig


def test_rules_of_overcommit_hold_on_this_kernel(rig: Rig) -> None:
    called = rig("verify", "overcommit", "--ktap", "-")

    assert called.status == 0, called.out
    assert called.out.count("\n  ok ") >= 110


def test_suite_that_the_mirror_does_not_serve_is_unavailable(rig: Rig) -> None:
    called = rig("verify", "overcommit", "--kernel", "debian:nosuchsuite", "--check", "brk", "--ktap", "-")

    assert called.status == 3, called.err
    assert "# SKIP unavailable" in called.out


def test_check_that_ends_its_guest_takes_no_other_with_it(rig: Rig) -> None:
    # The first check makes its guest panic, as its rule demands. The second has another guest and still gets a result.
    called = rig("verify", "--check", "panic-2-memcg", "--check", "panic-1-memcg", "--json")

    assert called.status == 0, called.out


SETTINGS = """
for file in /sys/kernel/mm/ksm/run /sys/kernel/mm/ksm/pages_to_scan /sys/kernel/mm/ksm/sleep_millisecs \\
  /proc/sys/vm/lowmem_reserve_ratio /proc/sys/vm/overcommit_kbytes /proc/sys/vm/overcommit_ratio /proc/1/oom_score_adj
do echo $file $(cat $file); done
"""


def test_settings_of_a_machine_are_put_back_after_each_check(rig: Rig, tmp_path: Path) -> None:
    rig("verify", "--program", str(tmp_path / "verify"))
    checks = ["ksm-origin", "lowmem-reserve~ratio", "limit-ratio", "oom-init"]
    script = f"""
        echo 65536 >/proc/sys/vm/overcommit_kbytes
        echo 77 >/sys/kernel/mm/ksm/pages_to_scan
        echo '250 200 200 0 0' >/proc/sys/vm/lowmem_reserve_ratio
        {SETTINGS}
        /verify --host --harmful {" ".join(checks)} >&2
        {SETTINGS}
    """

    called = rig("exec", "-q", "--copy", f"{tmp_path}/verify:/verify", "--", "sh", "-c", script)

    lines = called.out.splitlines()
    assert len(lines) == 14, called.out + called.err
    assert lines[:7] == lines[7:]
    assert "/proc/sys/vm/overcommit_kbytes 65536" in lines
    assert all(f"check {name} " in called.err for name in checks)


COUNTS = """
grep '^thp_fault_alloc ' /proc/vmstat
grep '^ctxt ' /proc/stat
echo min_free $(cat /proc/sys/vm/min_free_kbytes)
"""


def test_memory_is_taken_in_huge_pages_and_waited_for_without_polling(rig: Rig, tmp_path: Path) -> None:
    rig("verify", "--program", str(tmp_path / "verify"))
    script = f"{COUNTS} /verify --harmful sysrq-f~sysrq >&2; {COUNTS}"

    # Below 512 MB the kernel turns huge pages off.
    called = rig("exec", "-q", "--memory", "160M", "--copy", f"{tmp_path}/verify:/verify", "--", "sh", "-c", script)

    lines = [line.split() for line in called.out.splitlines()]
    before, after = ({name: int(value) for name, value in part} for part in (lines[:3], lines[3:]))
    assert "killed=nobody" in called.err
    # 24 MB and 8 MB, but for what has no huge page.
    assert after["thp_fault_alloc"] - before["thp_fault_alloc"] >= 12
    # Two holders and 0.5 s of watching: one look each 0.5 ms would be 2,000 switches.
    assert after["ctxt"] - before["ctxt"] < 1000
    assert after["min_free"] == before["min_free"]


def test_no_check_passes_without_one_of_its_conditions(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig.verify.mutants"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        # Some 200 mutants: two minutes on a quiet machine.
        timeout=3 * COMMAND_DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "SURVIVED" not in done.stdout
