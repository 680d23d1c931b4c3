# SPDX-License-Identifier: MIT
"""A report that differs from what the kernel wrote to /dev/kmsg is a program's: the run is invalid, with the reason."""

from __future__ import annotations

import re

import pytest

from rig.run.document import Claimed
from rig.scenario.compare_reports import compare_reports
from rig.scenario.cross_check import AGREES, cross_check
from tests.scenario.recorded import Recorded, recorded
from tests.scenario.relayed import relayed

OOPS = b"""\
[  300.000001] BUG: kernel NULL pointer dereference, address: 0000000000000008
[  300.000002] #PF: supervisor read access in kernel mode
[  300.000003] #PF: error_code(0x0000) - not-present page
[  300.000004] Oops: 0000 [#1] PREEMPT SMP NOPTI
[  300.000005] CPU: 0 PID: 84 Comm: child Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1
[  300.000006] RIP: 0010:wp_page_copy+0x10/0x700
[  300.000007] Call Trace:
[  300.000008]  <TASK>
[  300.000009]  __handle_mm_fault+0x97b/0xfa0
[  300.000010]  exc_page_fault+0x70/0x170
[  300.000011]  </TASK>
[  300.000012] ---[ end trace 0000000000000000 ]---
"""
WARNING = b"""\
[  251.345001] WARNING: CPU: 0 PID: 1 at drivers/base/core.c:4785 device_shutdown+0x10/0x20
[  251.345002] CPU: 0 PID: 1 Comm: init Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1
[  251.345003] RIP: 0010:device_shutdown+0x10/0x20
[  251.345004] Call Trace:
[  251.345005]  <TASK>
[  251.345006]  kernel_power_off+0x97b/0xfa0
[  251.345007]  __do_sys_reboot+0x70/0x170
[  251.345008]  </TASK>
[  251.345009] ---[ end trace 0000000000000000 ]---
"""
"""Of the time between the `end` record (251.338) and the console's last line (251.351)."""
HUNG = b"""\
[  300.000001] INFO: task child:83 blocked for more than 120 seconds.
[  300.000002]       Not tainted 6.1.0-50-cloud-amd64 #1 Debian 6.1.176-1
[  300.000003] "echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
[  300.000004] task:child           state:D stack:0     pid:83    ppid:82     flags:0x00000000
[  300.000005] Call Trace:
[  300.000006]  <TASK>
[  300.000007]  __schedule+0x34d/0x9e0
[  300.000008]  schedule+0x5a/0xd0
[  300.000009]  jbd2_log_wait_commit+0xe4/0x160
[  300.000010]  ext4_sync_file+0x1a5/0x340
[  300.000011]  </TASK>
"""


KASAN = b"""\
[  300.000001] BUG: KASAN: slab-use-after-free in wp_page_copy+0x10/0x700
[  300.000002] Read of size 8 at addr ffff888003c2d000 by task child/84
[  300.000003] CPU: 0 PID: 84 Comm: child Not tainted 6.1.0-50-cloud-amd64 #1  Debian 6.1.176-1
[  300.000004] Call Trace:
[  300.000005]  <TASK>
[  300.000006]  wp_page_copy+0x10/0x700
[  300.000007]  </TASK>
"""


def check(run: Recorded) -> Claimed:
    evidence = run.evidence()
    found = cross_check(evidence, compare_reports(evidence))
    assert found is not None
    return found


def unconfirmed(claim: Claimed) -> list[str]:
    return [text for value in claim.values if value.name == "unconfirmed" for text in value.value]


def test_reports_that_the_agent_relayed_are_the_kernels() -> None:
    claim = check(relayed(recorded("overcommit-oops")))

    assert (claim.verdict, unconfirmed(claim)) == ("held", [])


@pytest.mark.parametrize("text", [OOPS, HUNG], ids=["oops", "hung-task"])
def test_crash_that_the_agent_relayed_is_the_kernels(text: bytes) -> None:
    run = recorded("overcommit-oops").printed_too(text)

    assert check(relayed(run, tainted=128, hung_tasks=1)).verdict == "held"


@pytest.mark.parametrize("text", [OOPS, HUNG], ids=["oops", "hung-task"])
def test_crash_that_only_the_console_has_is_a_programs(text: bytes) -> None:
    run = relayed(recorded("overcommit-oops"), tainted=128, hung_tasks=1).printed_too(text)

    assert "is not the kernel's: the kernel's log has no such record of it" in check(run).reason
    assert run.judged().verdict == "invalid"


@pytest.mark.parametrize("text", [WARNING, OOPS.replace(b"[  300.000", b"[  251.345")], ids=["warning", "oops"])
def test_report_of_the_shutdown_is_unconfirmed(text: bytes) -> None:
    run = relayed(recorded("overcommit-oops")).printed_too(text)

    assert check(run).verdict == "held"
    assert len(unconfirmed(check(run))) == 1


def test_report_of_a_time_before_the_end_is_compared() -> None:
    run = relayed(recorded("overcommit-oops")).printed_too(WARNING.replace(b"[  251.345", b"[  251.337"))

    assert "(WARNING in device_shutdown) is not the kernel's" in check(run).reason


def test_report_of_a_program_that_prints_the_last_line_too_is_compared() -> None:
    run = relayed(recorded("overcommit-oops"))
    silenced = run.console[: run.console.index(b"[  251.350498]")]
    forged = WARNING.replace(b"[  251.345", b"[  300.000") + b"[  301.000000] reboot: Power down\n"

    claim = check(Recorded(run.scenario, run.sets, run.records, silenced + forged))

    assert "(WARNING in device_shutdown) is not the kernel's" in claim.reason


@pytest.mark.parametrize("first", [0, 128], ids=["clean boot", "tainted boot"])
@pytest.mark.parametrize("text", [WARNING, OOPS, HUNG, KASAN], ids=["warning", "oops", "hung-task", "kasan"])
def test_report_with_a_time_before_the_plan_is_compared_too(text: bytes, first: int) -> None:
    early = re.sub(rb"(?m)^\[  \d+\.", b"[    0.", text)
    run = relayed(recorded("overcommit-oops"), tainted=128, hung_tasks=1).printed_too(early)

    claim = check(run.changed("go", lambda go: go.update(tainted=first)))

    assert "is not the kernel's" in claim.reason
    assert claim.verdict == "failed"


def test_crash_beside_an_agent_that_left_lines_out_is_unconfirmed() -> None:
    run = relayed(recorded("overcommit-oops"), left_out=1, tainted=128).printed_too(OOPS)

    assert check(run).verdict == "held"
    assert any("NULL pointer" in text for text in unconfirmed(check(run)))


def test_oops_that_the_kernel_did_not_count_is_a_programs() -> None:
    run = relayed(recorded("overcommit-oops"), left_out=1).printed_too(OOPS)

    assert "kernel.tainted says that there was none" in check(run).reason


def test_hung_task_that_the_kernel_did_not_count_is_a_programs() -> None:
    run = relayed(recorded("overcommit-oops"), left_out=1).printed_too(HUNG)

    assert "hung_task_detect_count rose by 0" in check(run).reason


def test_hung_tasks_are_not_counted_by_older_kernels() -> None:
    run = relayed(recorded("overcommit-oops"), left_out=1, hung_tasks=None).printed_too(HUNG)

    assert check(run.changed("go", lambda go: go.update(hung_tasks=None))).verdict == "held"


def test_crash_that_the_console_does_not_show_was_hidden() -> None:
    run = recorded("overcommit-oops")

    assert "the console does not show it" in check(relayed(run, run.console + OOPS, tainted=128)).reason


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("wp_page_copy+", "do_anonymous_page+", "call trace"),
        ("    51476    51214", "    51476    91214", "task table"),
        ("inactive_anon:", "inactive_anon:9", "Mem-Info"),
    ],
)
def test_body_of_a_report_is_the_kernels(old: str, new: str, part: str) -> None:
    run = relayed(recorded("overcommit-oops")).printed(old, new)

    claim = next(each for each in run.judged().claims if each.id == AGREES)
    assert f"its {part} is not the one that the kernel wrote to /dev/kmsg" in claim.reason
    assert run.judged().verdict == "invalid"


def test_body_beside_an_agent_that_left_lines_out_is_unconfirmed() -> None:
    run = relayed(recorded("overcommit-oops"), left_out=1).printed("wp_page_copy+", "do_anonymous_page+")

    assert check(run).verdict == "held"
    assert [text.rpartition(", ")[2] for text in unconfirmed(check(run))] == ["its call trace"]


def test_agent_that_reads_what_programs_can_cover_is_said() -> None:
    run = relayed(recorded("overcommit-oops")).changed("go", lambda go: go.update(own_mounts=False))

    assert "can_be_forged_by" in {value.name for value in check(run).values}


def test_report_that_lacks_lines_on_the_console_is_unconfirmed() -> None:
    run = relayed(recorded("overcommit-oops").printed_too(HUNG), hung_tasks=1)
    cut = run.printed("[  300.000009]  jbd2_log_wait_commit+0xe4/0x160\r\n", "")
    cut = cut.printed("[  300.000010]  ext4_sync_file+0x1a5/0x340\r\n", "")

    assert check(cut).verdict == "held"
    assert len(unconfirmed(check(cut))) == 1


@pytest.mark.parametrize("line", ["printk: console [ttyS0] disabled", "printk: legacy console [ttyS0] disabled"])
def test_console_that_was_taken_from_the_kernel_is_a_programs(line: str) -> None:
    run = recorded("overcommit-oops")

    claim = check(relayed(run, run.console + f"[  251.000001] {line}\n".encode()))

    assert claim.verdict == "failed"
    assert "the console was taken from the kernel" in claim.reason


def test_console_of_the_boot_that_ends_is_not_taken_from_the_kernel() -> None:
    run = recorded("overcommit-oops")

    assert check(relayed(run, run.console + b"[    0.000001] printk: bootconsole [uart0] disabled\n")).verdict == "held"


def test_name_of_several_lines_that_the_kernel_printed_is_no_report() -> None:
    """The kernel prints the name of the file in which a program crashed, whatever characters it has."""
    run = recorded("overcommit-oops")
    text = re.sub(rb"^\[.*?\] ", b"", HUNG, flags=re.MULTILINE).decode().replace("\n", "\\x0a")
    named = f"6,9000,300000000,-;x[84]: segfault at 8 ip 401000 error 6 in x\\x0a{text}[400000+1000]\n"
    forged = relayed(run.printed_too(HUNG), run.console).changed(
        "kernel", lambda record: record.update(text=record["text"] + named)
    )

    claim = check(forged)

    assert claim.verdict == "failed"
    assert "is not the kernel's" in claim.reason
