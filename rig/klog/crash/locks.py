# SPDX-License-Identifier: MIT
"""Rules for the findings of lockdep, lock debugging and the RCU checks.

Sources: kernel/locking/lockdep.c, kernel/locking/spinlock_debug.c.
"""

from __future__ import annotations

from rig.klog.crash.blame import after, first_trace, lock_cycle, lock_site, title_then_place, warned
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

_RCU_PASSED = r"rcu|kmem|slab"
_WORKQUEUE_LOCKS = r"process_one_work|(?:flush|drain|destroy)_workqueue"
_ACQUIRES = r"is trying to acquire"
# Lockdep prints `WARNING: ` since 4.11 (kernel/locking/lockdep.c); before, `INFO: ` or `BUG: ` in brackets.
_FINDING = ("WARNING: ", "INFO: ", "BUG: ")


def _deadlock(head: str, below: str) -> Rule:
    """Return the rule for a report that names, on one line, where the lock that closes the cycle is taken.

    head: the pattern of the report's first line.
    below: the pattern of the line that names the place.
    """
    return Rule(
        Kind.LOCKDEP, head, "possible deadlock in {f}", named=lock_site(head, below), detail=below, keywords=_FINDING
    )


RULES = (
    Rule(
        Kind.LOCKDEP,
        r"WARNING: possible circular locking dependency detected",
        "possible deadlock in {f}",
        (lock_cycle,),
        (),
        _WORKQUEUE_LOCKS,
        detail=_ACQUIRES,
    ),
    _deadlock(r"INFO: possible circular locking dependency detected", _ACQUIRES),
    _deadlock(r"possible irq lock inversion dependency detected", r"just changed the state of lock"),
    _deadlock(r"INFO: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected", _ACQUIRES),
    _deadlock(r"possible recursive locking detected", _ACQUIRES),
    Rule(
        Kind.LOCKDEP,
        r"WARNING: .*-safe -> .*-unsafe lock order detected",
        "possible deadlock in {f}",
        (after(r"which became .* at:"),),
    ),
    Rule(
        Kind.LOCKDEP,
        r"WARNING: inconsistent lock state",
        "inconsistent lock state in {f}",
        (first_trace,),
        detail=r"takes.*\n[\s\S]*?at: ",
    ),
    Rule(
        Kind.LOCKDEP,
        r"INFO: inconsistent lock state",
        "inconsistent lock state in {f}",
        named=lock_site(r"inconsistent lock state", r"takes"),
    ),
    Rule(
        Kind.LOCKDEP,
        r"(?P<level>WARNING|INFO): suspicious RCU usage",
        "{level}: suspicious RCU usage in {f}",
        (first_trace,),
        (),
        _RCU_PASSED,
        detail=r"suspicious RCU usage.*\n[\s\S]*?\w\.[a-z]+:\d",
        keywords=_FINDING,
    ),
    Rule(
        Kind.LOCKDEP,
        r"(?P<level>WARNING|BUG): bad unlock balance detected!",
        "{level}: bad unlock balance in {f}",
        (title_then_place,),
        keywords=_FINDING,
    ),
    Rule(
        Kind.LOCKDEP,
        r"(?P<level>WARNING|BUG): .*still has locks held!",
        "{level}: still has locks held in {f}",
        named=lock_site(r"still has locks held!"),
        needs_trace=False,
        keywords=_FINDING,
    ),
    Rule(
        Kind.LOCKDEP,
        r"(?P<level>WARNING|BUG): held lock freed!",
        "{level}: held lock freed in {f}",
        named=lock_site(r"held lock freed!"),
        keywords=_FINDING,
    ),
    Rule(
        Kind.LOCKDEP,
        r"(?P<level>WARNING|BUG): lock held when returning to user space",
        "{level}: lock held when returning to user space in {f}",
        named=lock_site(r"lock held when returning", r"leaving the kernel with locks still held"),
        needs_trace=False,
        keywords=_FINDING,
    ),
    Rule(
        Kind.LOCKDEP,
        r"WARNING: Nested lock was not taken",
        "WARNING: nested lock was not taken in {f}",
        (warned, first_trace),
    ),
    Rule(
        Kind.LOCKDEP,
        r"BUG: Invalid wait context",
        "WARNING: locking bug in {f}",
        (first_trace,),
        (),
        r"lock_sock|release_sock",
    ),
    Rule(
        Kind.LOCKDEP,
        r"INFO: trying to register non-static key",
        "INFO: trying to register non-static key in {f}",
        (first_trace,),
        (),
        r"stack|lock|IRQ",
    ),
    Rule(
        Kind.LOCKDEP,
        r"BUG: (?P<lock>spinlock|rwlock) (?P<what>lockup suspected|already unlocked|recursion|cpu "
        r"recursion|bad magic"
        r"|wrong owner|wrong CPU|trylock failure on UP)",
        "BUG: {lock} {what} in {f}",
        (first_trace,),
        (),
        r"spin_|_lock|_unlock",
    ),
)
