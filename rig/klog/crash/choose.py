# SPDX-License-Identifier: MIT
"""Choose the function that the title names from the candidates that blame.py found.

Most titles name the first candidate.
A stall is detected at an arbitrary point of a loop, so its title names the operation that loops: the function that a
dispatcher called.
A hung task only waits for whatever is broken, so its title names the first function that is not part of waiting.
"""

from __future__ import annotations

import re

__all__ = ["common_name", "first", "hung", "looping"]

# Functions that call others through a function pointer: the function that they called names the operation.
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
# A hang on an RCU grace period has the same cause whatever function waits for it: the title names the wait.
_GRACE_PERIODS = re.compile(r"synchronize_(?:s?rcu|net|sched)")
_RTNL = "rtnl_lock"


def first(functions: list[str]) -> int | None:
    """Return the index of the innermost function; None where there is none."""
    return 0 if functions else None


def looping(functions: list[str]) -> int | None:
    """Return the index of the function that the innermost dispatcher called; None where there is no dispatcher."""
    for index, function in enumerate(functions):
        if _DISPATCHERS.search(function):
            # A cross call spins until the other CPUs have answered, so the cross call itself is the operation.
            return index if "smp_call_function" in function else max(index - 1, 0)
    return None


def hung(functions: list[str]) -> int | None:
    """Return the index of the first function that does not wait, or of the wait itself where that names the cause."""
    for index, function in enumerate(functions):
        if _RTNL in function or _GRACE_PERIODS.search(function):
            return index
    for index, function in enumerate(functions):
        if not _WAITING.search(function):
            return index
    return None


def common_name(function: str, *, chooser: object) -> str:
    """Return one name for all variants of an RCU grace period wait or of a cross call.

    chooser: the function of this module that chose `function`.
    """
    if chooser is hung and _GRACE_PERIODS.search(function):
        return "synchronize_rcu"
    if chooser is looping and "smp_call_function" in function:
        return "smp_call_function"
    return function
