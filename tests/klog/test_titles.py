# SPDX-License-Identifier: MIT
"""Titles: stable, one for the same bug, naming the function to blame. The reports are made."""

from __future__ import annotations

import pytest

from rig.klog import read
from rig.klog.crash.crash_event import CrashEvent
from rig.klog.crash.roles import has_role
from rig.klog.crash.titles import short_name, stable
from tests.klog import made


def first(lines: list[str]) -> CrashEvent:
    event = read([made.serial(lines)]).events[0]
    assert isinstance(event, CrashEvent)
    return event


def trace(*functions: str) -> list[str]:
    return ["Call Trace:", " <TASK>", *(f" {function}+0x10/0x80" for function in functions), " </TASK>"]


REPORTS = {
    "KASAN: use-after-free Read in made_read": [
        "BUG: KASAN: use-after-free in memcpy+0x20/0x50",
        "Read of size 8 at addr ffff888012345678 by task made/77",
        *trace("dump_stack_lvl", "print_report", "kasan_report", "memcpy", "made_read", "vfs_read", "do_syscall_64"),
        "Allocated by task 70:", " kasan_save_stack+0x1e/0x40", " made_open+0x3c/0xa0",
    ],
    "KASAN: invalid-free in made_close": [
        "BUG: KASAN: double-free in kfree+0x90/0x100",
        *trace("dump_stack_lvl", "kasan_report_invalid_free", "kfree", "made_close", "__fput"),
    ],
    "KMSAN: uninit-value in made_hash": [
        "BUG: KMSAN: uninit-value in made_hash+0x100/0x200",
        " made_hash+0x100/0x200", " made_send+0x50/0x60",
        "Uninit was created at:", " slab_alloc_node+0x50/0x60", " made_alloc+0x30/0x40",
    ],
    "KCSAN: data-race in made_read / made_write": [
        "BUG: KCSAN: data-race in made_read / made_write", "write to 0xffff888012345678 of 8 bytes by task 7 on cpu 0:",
        " made_write+0x30/0x40",
    ],
    "KFENCE: out-of-bounds read in made_parse": [
        "BUG: KFENCE: out-of-bounds read in made_parse+0x50/0x100", "Out-of-bounds read at 0x00000000deadbeef:",
        " made_parse+0x50/0x100", " do_syscall_64+0x50/0x60",
    ],
    "UBSAN: shift-out-of-bounds in made_shift": [
        "UBSAN: shift-out-of-bounds in drivers/made/made.c:12:3",
        *trace("dump_stack_lvl", "ubsan_epilogue", "__ubsan_handle_shift_out_of_bounds", "made_shift", "made_init"),
    ],
    "BUG: unable to handle kernel paging request in made_copy": [
        "BUG: unable to handle page fault for address: ffffc90000dead28", "Oops: 0000 [#1] SMP",
        "RIP: 0010:memcpy+0x10/0x20", "Code: 90 <48> 90", *trace("made_copy", "made_ioctl", "__x64_sys_ioctl"),
    ],
    "general protection fault in made_walk": [
        "Oops: general protection fault, probably for non-canonical address 0x6b6b6b6b6b6b6b6b: 0000 [#1] SMP NOPTI",
        "RIP: 0010:made_walk+0x10/0x20", *trace("made_walk_all", "do_syscall_64"),
    ],
    "kernel BUG in made_assert": [
        "------------[ cut here ]------------", "kernel BUG at drivers/made/made.c:12!",
        "invalid opcode: 0000 [#1] PREEMPT SMP", "RIP: 0010:made_assert+0x10/0x20", *trace("made_init"),
    ],
    "WARNING: refcount bug in made_put": [
        "WARNING: CPU: 0 PID: 12 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
        "RIP: 0010:refcount_warn_saturate+0xba/0x110", *trace("made_put", "made_release", "__fput"),
    ],
    "WARNING in made_old": [
        "WARNING: at drivers/made/made.c:12 made_old+0x30/0x40()",
        *trace("dump_stack", "warn_slowpath_common", "warn_slowpath_null", "made_old", "sys_made"),
    ],
    "BUG: scheduling while atomic in made_wait": [
        "BUG: scheduling while atomic: made/77/0x00000002",
        *trace("dump_stack_lvl", "__schedule_bug", "__schedule", "schedule", "made_wait", "made_ioctl"),
    ],
    "BUG: sleeping function called from invalid context in made_lookup": [
        "BUG: sleeping function called from invalid context at mm/slab.h:494",
        *trace("dump_stack_lvl", "__might_resched", "kmem_cache_alloc", "made_lookup", "made_ioctl"),
    ],
    "INFO: task hung in made_flush": [
        "INFO: task made:77 blocked for more than 120 seconds.",
        *trace("__schedule", "schedule", "schedule_timeout", "wait_for_completion", "made_flush", "made_ioctl"),
    ],
    "INFO: task hung in synchronize_rcu": [
        "INFO: task made:77 blocked for more than 120 seconds.",
        *trace("__schedule", "schedule", "wait_for_completion", "__wait_rcu_gp", "synchronize_srcu", "made_flush"),
    ],
    "BUG: soft lockup in made_ioctl": [
        "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [made:77]",
        "RIP: 0010:made_loop+0x10/0x20", *trace("made_inner", "made_ioctl", "vfs_ioctl", "do_syscall_64"),
    ],
    "INFO: rcu detected stall in made_work": [
        "rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu: \t0-....: (2099 ticks this GP)",
        *trace("sched_show_task", "rcu_sched_clock_irq", "update_process_times"),
        " asm_sysvec_apic_timer_interrupt+0x12/0x20", "RIP: 0010:made_loop+0x10/0x20",
        " made_work+0x30/0x40", " process_one_work+0x30/0x40", " worker_thread+0x10/0x20",
    ],
    "possible deadlock in made_lock_b": [
        "WARNING: possible circular locking dependency detected", "made/77 is trying to acquire lock:",
        "ffff888 (&b){+.+.}-{3:3}, at: made_lock_b+0x10/0x20", "but task is already holding lock:",
        "ffff888 (&a){+.+.}-{3:3}, at: made_lock_a+0x10/0x20", "which lock already depends on the new lock.",
        "stack backtrace:", *trace("dump_stack_lvl", "check_noncircular", "made_lock_b"),
    ],
    "WARNING: suspicious RCU usage in made_deref": [
        "WARNING: suspicious RCU usage", "drivers/made/made.c:12 suspicious rcu_dereference_check() usage!",
        *trace("dump_stack_lvl", "lockdep_rcu_suspicious", "made_deref", "made_ioctl"),
    ],
    "memory leak in made_open": [
        "BUG: memory leak", "unreferenced object 0xffff888012345678 (size 64):",
        "  comm \"made\", pid 77, jiffies 4294942000 (age 10.0s)", "  backtrace (crc 12345678):",
        "    kmalloc_trace+0x25/0x90", "    made_open+0x3c/0xa0", "    do_sys_open+0x10/0x20",
    ],
    "kernel panic: stack is corrupted in made_frame": [
        "Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: made_frame+0x30/0x40",
        *trace("panic"),
    ],
    "divide error in made_ratio": [
        "divide error: 0000 [#1] SMP", "RIP: 0010:made_ratio+0x10/0x20", *trace("made_init"),
    ],
    "PANIC: double fault in made_deep": [
        "traps: PANIC: double fault, error_code: 0x0", "RIP: 0010:made_deep+0x10/0x20",
    ],
    "BUG: Bad rss-counter state": ["BUG: Bad rss-counter state mm:ffff888012345678 type:MM_ANONPAGES val:2"],
    "unregister_netdevice: waiting for DEV to become free": [
        "unregister_netdevice: waiting for lo to become free. Usage count = 2",
    ],
}  # fmt: skip


@pytest.mark.parametrize("title", REPORTS)
def test_title_names_what_happened_and_whom_to_blame(title: str) -> None:
    event = first(REPORTS[title])

    assert event.title == title


@pytest.mark.parametrize("title", REPORTS)
def test_title_is_the_same_for_other_addresses_offsets_and_cpus(title: str) -> None:
    changed = [
        line.replace("+0x10/", "+0x1c/").replace("ffff888012345678", "ffff888087654320").replace("CPU: 0", "CPU: 3")
        for line in REPORTS[title]
    ]

    assert first(changed).title == title


MACHINES = {
    "arm64": [" pc : made_fault+0x10/0x20 [made]", "lr : made_ioctl+0x30/0x40", "Call trace:", " made_fault+0x10/0x20"],
    "arm": [
        "PC is at made_fault+0x10/0x20",
        "LR is at made_ioctl+0x30/0x40",
        "Backtrace: ",
        "[<c0100000>] (made_fault) from [<c0200000>] (made_ioctl+0x10/0x20)",
    ],
    "powerpc": [
        "NIP [c000000000100000] made_fault+0x10/0x20",
        "LR [c000000000200000] made_ioctl+0x30/0x40",
        "Call Trace:",
        "[c000000000300000] [c000000000100000] made_fault+0x10/0x20",
    ],
    "riscv": [
        "epc : made_fault+0x10/0x20",
        " ra : made_ioctl+0x30/0x40",
        "Call Trace:",
        "[<ffffffff80001000>] made_fault+0x10/0x20",
    ],
}


@pytest.mark.parametrize("module", ["", " [made]"])
@pytest.mark.parametrize("what", ["assert: race", "data-race"])
def test_race_of_one_function_blames_it(what: str, module: str) -> None:
    event = first(
        [
            f"BUG: KCSAN: {what} in made_read+0x10/0x20{module}",
            "race at unknown origin, with read to 0xffff8881001cb1e8",
        ]
    )

    assert (event.title, event.function) == (f"KCSAN: {what} in made_read{module}", "made_read")


@pytest.mark.parametrize("other", ["read (marked)", "write (marked, reordered)", "assert no writes (scoped)"])
def test_traces_of_both_accesses_of_a_race_are_read(other: str) -> None:
    event = first(
        [
            "BUG: KCSAN: data-race in made_read / made_write",
            "write to 0xffff888012345678 of 8 bytes by task 7 on cpu 0:",
            " made_write+0x30/0x40", " made_store+0x30/0x40", " ",
            f"{other} to 0xffff888012345678 of 8 bytes by interrupt on cpu 1:",
            " made_read+0x30/0x40",
        ]
    )  # fmt: skip

    assert [labelled.trace.functions for labelled in event.traces] == [("made_write", "made_store"), ("made_read",)]


def test_trace_of_an_uninitialised_value_is_that_of_its_use() -> None:
    event = first(REPORTS["KMSAN: uninit-value in made_hash"])

    assert event.trace.functions == ("made_hash", "made_send")


def test_arm_trace_without_a_line_above_it_is_read() -> None:
    event = first(
        [
            "Unable to handle kernel NULL pointer dereference at virtual address 00000000",
            "Internal error: Oops: 17 [#1] ARM",
            "PC is at made_fault+0x10/0x20",
            "[<c0100000>] (made_fault+0x10/0x20) from [<c0200000>] (made_ioctl+0x10/0x20)",
            "[<c0200000>] (made_ioctl+0x10/0x20) from [<c0300000>] (made_call+0x40/0x50 [made])",
        ]
    )

    assert event.trace.functions == ("made_fault", "made_ioctl", "made_call")
    assert not event.corrupted


@pytest.mark.parametrize("machine", MACHINES)
def test_every_architecture_names_the_function(machine: str) -> None:
    event = first(
        [
            "Unable to handle kernel NULL pointer dereference at virtual address 0000000000000028",
            "Internal error: Oops: 96000004 [#1] SMP",
            *MACHINES[machine],
        ]
    )

    assert event.title == "BUG: unable to handle kernel NULL pointer dereference in made_fault"
    assert event.address == 0x28


S390 = [
    "Unable to handle kernel pointer dereference in virtual kernel address space",
    "Failing address: 0000000000000000 TEID: 0000000000000483",
    "Oops: 0004 ilc:2 [#1] SMP",
    "CPU: 1 PID: 77 Comm: made Not tainted 6.12.0 #1",
    "Krnl PSW : 0704c00180000000 000003ff80100010 (made_fault+0x10/0x20 [made])",
    "Krnl GPRS: 0000000000000000 0000000000000028 0000000000000000 0000000000000000",
    "Call Trace:",
    " [<000003ff80100010>] made_fault+0x10/0x20 [made]",
    "([<000003ff80100000>] made_ioctl+0x10/0x20 [made])",
    "Last Breaking-Event-Address:",
    " [<000003ff80100000>] made_ioctl+0x0/0x20 [made]",
]


def test_s390_oops_names_the_function() -> None:
    event = first(S390)

    assert event.function == "made_fault"
    assert not event.corrupted


def test_powerpc_oops_by_its_own_words() -> None:
    event = first(
        ["BUG: Kernel NULL pointer dereference on read at 0x00000028", "Oops: Kernel access of bad area, sig: 11 [#1]",
         "NIP [c000000000100000] made_fault+0x10/0x20", "Call Trace:", "[c000000000300000] [c000000000100000] "
             "made_fault+0x10/0x20 (unreliable)"]
    )  # fmt: skip

    assert event.function == "made_fault"


def test_report_without_a_trace_blames_nobody_and_says_so() -> None:
    event = first(["BUG: scheduling while atomic: made/77/0x00000002", "eth0: link is up"])

    assert event.function is None
    assert event.corrupted
    assert event.title == "BUG: scheduling while atomic in corrupted"


def test_panic_on_warn_keeps_the_warning_first_and_is_linked() -> None:
    warning = made.warning()[:3]

    events = read([made.serial([*warning, *made.panic("panic_on_warn set ...")])]).events

    assert [event.kind for event in events] == ["warning", "panic"]
    assert events[1].caused_by == events[0].number


def test_alternatives_hold_other_spellings_of_a_system_call() -> None:
    event = first(
        [
            "BUG: kernel NULL pointer dereference, address: 0000000000000028",
            "RIP: 0010:__x64_sys_made+0x10/0x20",
            *trace("do_syscall_64"),
        ]
    )

    assert event.title.endswith(" in sys_made")
    assert any(title.endswith(" in __x64_sys_made") for title in event.alternatives)
    assert "bad-access in sys_made" in event.alternatives


@pytest.mark.parametrize(
    "line",
    [
        "sshd[77]: segfault at 0 ip 000055d0c0000000 sp 00007ffd00000000 error 4 in sshd[55d0c0000000+1000]",
        "Speculative Return Stack Overflow: WARNING: See https://kernel.org/doc for mitigation options.",
        "EXT4-fs (loop1): INFO: recovery required on readonly filesystem",
        "perf: interrupt took too long (2503 > 2500), lowering kernel.perf_event_max_sample_rate to 79750",
        "traps: made[77] general protection fault ip:401000 sp:7ffd0000 error:0 in made[400000+1000]",
        "Kernel command line: panic=-1 oops=panic softlockup_panic=1",
        "DEBUG: nothing",
        "ODEBUG: enabled",
        "usb 1-1: reset high-speed USB device",
    ],
)
def test_harmless_words_begin_no_crash(line: str) -> None:
    crashes = [event for event in read([made.serial([line])]).events if isinstance(event, CrashEvent)]

    assert crashes == []


@pytest.mark.parametrize(
    "function", ["memcpy", "kasan_report", "_raw_spin_lock_irqsave", "kmem_cache_alloc_node", "refcount_warn_saturate"]
)
def test_functions_that_serve_others_are_not_to_blame(function: str) -> None:
    assert has_role(function)


@pytest.mark.parametrize("function", ["made_probe", "ext4_writepages", "tcp_v4_rcv", "binder_ioctl"])
def test_functions_of_their_own_can_be_to_blame(function: str) -> None:
    assert not has_role(function)


def test_unstable_parts_of_a_title_are_replaced() -> None:
    assert (
        stable("made at ffff888012345678 from 10.0.0.1 line made.c:12 for 77")
        == "made at ADDR from IP line made.c:LINE for NUM"
    )


@pytest.mark.parametrize(
    ("name", "short"),
    [("__x64_sys_read", "sys_read"), ("__se_sys_read", "read"), ("SyS_read", "read"), ("made", "made")],
)
def test_system_calls_have_one_name(name: str, short: str) -> None:
    assert short_name(name) == short


def test_what_the_first_lines_say_is_kept_as_values() -> None:
    event = first(REPORTS["KASAN: use-after-free Read in made_read"])

    assert event.values == {"what": "use-after-free", "access": "Read"}
