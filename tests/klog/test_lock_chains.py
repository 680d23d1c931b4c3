# SPDX-License-Identifier: MIT
"""Lockdep's chains of locks, as kernels before 4.0 and later ones print them."""

from __future__ import annotations

import pytest

from rig.klog import read
from rig.klog.crash.crash_event import CrashEvent
from tests.klog import made


def report(address: str, header: str) -> list[str]:
    return [
        header,
        "2.6.39-rc1 #12 Not tainted",
        "-------------------------------------------------------",
        "made/123 is trying to acquire lock:",
        f" (&made_first){{+.+.+.}}, at: {address}made_take+0x1f/0x84",
        "",
        "but task is already holding lock:",
        f" (&made_second){{+.+...}}, at: {address}made_hold+0x20/0x80",
        "",
        "which lock already depends on the new lock.",
        "",
        "the existing dependency chain (in reverse order) is:",
        "",
        "-> #1 (&made_second){+.+...}:",
        f"       {address}lock_acquire+0x8d/0xc9",
        f"       {address}made_other+0x1f/0x84",
        "",
        "-> #0 (&made_first){+.+.+.}:",
        f"       {address}__lock_acquire+0x8d/0xc9",
        f"       {address}made_take+0x1f/0x84",
        "",
        "stack backtrace:",
        "Pid: 123, comm: made Not tainted 2.6.39-rc1 #12",
        "Call Trace:",
        f" {address}print_circular_bug+0x1cb/0x1dc",
        f" {address}made_take+0x1f/0x84",
    ]


@pytest.mark.parametrize(
    ("address", "header"),
    [
        ("[<ffffffff8108b6f4>] ", "[ INFO: possible circular locking dependency detected ]"),
        ("", "WARNING: possible circular locking dependency detected"),
    ],
)
def test_every_link_of_the_chain_is_a_trace_beside_the_tasks_own(address: str, header: str) -> None:
    (event,) = read([made.serial(report(address, header))]).events

    assert isinstance(event, CrashEvent)
    assert event.title == "possible deadlock in made_take"
    assert event.trace.functions == ("print_circular_bug", "made_take")
    assert [(labelled.label.split("{")[0], labelled.trace.functions) for labelled in event.traces] == [
        ("-> #1 (&made_second)", ("lock_acquire", "made_other")),
        ("-> #0 (&made_first)", ("__lock_acquire", "made_take")),
        ("Call Trace", ("print_circular_bug", "made_take")),
    ]


def test_frames_of_old_arm_kernels_are_read_with_both_addresses() -> None:
    lines = [
        "INFO: task made:10324 blocked for more than 122 seconds.",
        "      Not tainted 3.18.2 #10",
        '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
        "Backtrace: ",
        "[<80c1e5e8>] (__schedule) from [<80c1eb20>] (schedule+0x60/0xdc)",
        "[<80c1eb20>] (schedule) from [<80c1ec14>] (made_wait+0x48/0x6c)",
    ]

    (event,) = read([made.serial(lines)]).events

    assert event.trace.functions == ("__schedule", "schedule", "made_wait")
    assert [frame.address for frame in event.trace.frames] == [0x80C1E5E8, 0x80C1EB20, 0x80C1EC14]
