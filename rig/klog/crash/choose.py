# SPDX-License-Identifier: MIT
"""From the functions that can be to blame to the one that the title names.

Most reports name the first. A stall is caught anywhere within a loop, so it is named after the operation
that the loop belongs to: the function that a dispatcher called. A hung task is the victim of whatever it
waits for, so it is named after the first function that is not itself about waiting.
"""

from __future__ import annotations

import re

__all__ = ["common_name", "first", "hung", "looping"]

# Functions that call others through a table or on behalf of anyone: what they called names the operation.
_DISPATCHERS = re.compile(
    r"process_one_work|smpboot_thread_fn|^kthread$|ret_from_fork|start_secondary|cpu_startup_entry"
    r"|do_(?:fast_)?syscall_|sysenter_dispatch|tracesys_phase2|el0_svc_handler|invoke_syscall|ret_fast_syscall"
    r"|do_softirq|run_ksoftirqd|tasklet_(?:hi_)?action|call_timer_fn|_run_timers|run_timer_softirq|hrtimer_run"
    r"|netif_receive_skb|smp_call_function|task_work_run|exit_to_usermode|__fput"
    # file operations
    r"|vfs_(?:open|read|write|ioctl|iter_read|iter_write)|do_iter_(?:read|write)|call_(?:read|write)_iter|^call_mmap"
    r"|new_sync_(?:read|write)|do_dentry_open|mmap_region|do_mmap|ksys_ioctl|compat_(?:sys_)?ioctl"
    r"|blkdev_(?:driver_)?ioctl"
    # socket operations
    r"|^(?:__)?sock_(?:sendmsg|recvmsg|release|mmap|ioctl|do_ioctl)|^compat_sock_ioctl|sk_common_release"
    r"|^(?:setsockopt|listen|accept)$|kernel_(?:setsockopt|listen|accept)|sock_common_setsockopt"
    r"|^(?:sys_)?(?:socketpair|connect|ioctl)|^(?:nfnetlink|rtnetlink)_rcv_msg|^netlink_dump"
    # page faults
    r"|__do_fault|do_page_fault|^page_fault$"
)
_WAITING = re.compile(
    r"sched|_lock|_slowlock|down|rwsem|completion|kthread|wait|synchronize|context_switch|__switch_to"
    r"|cancel_delayed_work|rcu_barrier"
)
# Hangs on these have one cause wherever they show: they go by the wait's own name.
_GRACE_PERIODS = re.compile(r"synchronize_(?:s?rcu|net|sched)")
_RTNL = "rtnl_lock"


def first(functions: list[str]) -> int | None:
    """The innermost."""
    return 0 if functions else None


def looping(functions: list[str]) -> int | None:
    """The function that the innermost dispatcher called; None where no dispatcher is on the stack."""
    for index, function in enumerate(functions):
        if _DISPATCHERS.search(function):
            return index if "smp_call_function" in function else max(index - 1, 0)
    return None


def hung(functions: list[str]) -> int | None:
    """The first function that does not wait, or the wait itself where that names the cause."""
    for index, function in enumerate(functions):
        if _RTNL in function or _GRACE_PERIODS.search(function):
            return index
    for index, function in enumerate(functions):
        if not _WAITING.search(function):
            return index
    return None


def common_name(function: str, *, chooser: object) -> str:
    """Fold the variants of one wait or one cross call into one name."""
    if chooser is hung and _GRACE_PERIODS.search(function):
        return "synchronize_rcu"
    if chooser is looping and "smp_call_function" in function:
        return "smp_call_function"
    return function
