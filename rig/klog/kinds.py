# SPDX-License-Identifier: MIT
"""The kinds of events, with the severity of each and its meaning in one sentence.

Each rule names its kind. The kind decides which event of a log is explained first, whether an event is a crash, and
what the explanation's first sentence says.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Kind"]


class Kind(StrEnum):
    """A kind of event.

    gravity: 0 for an OOM kill, 1 for a kernel that is broken and for a kill by a program, 2 for a kernel that hangs, 3
    for a finding that may be harmless, 4 for what concerns one program or nobody; of a log's events the first of the
    lowest gravity is explained. crash: whether the kernel reports it with a trace, as a CrashEvent. meaning: what it
    is, for a reader who sees the kind for the first time.
    """

    gravity: int
    crash: bool
    meaning: str

    def __new__(cls, value: str, gravity: int, crash: bool, meaning: str) -> Kind:
        member = str.__new__(cls, value)
        member._value_ = value
        member.gravity = gravity
        member.crash = crash
        member.meaning = meaning
        return member

    OOM = "oom", 0, False, "Memory ran out, and the kernel killed to get some back."
    OOPS = "oops", 1, True, "The CPU refused an access of the kernel's; the kernel ended the task that it ran for."
    BUG = "bug", 1, True, "The kernel found that a condition which must always hold does not."
    USER_KILL = "user-kill", 1, False, "A program, not the kernel, killed others because memory was short."
    PANIC = "panic", 1, True, "The kernel gave up: the machine stopped here."
    KASAN = "kasan", 1, True, "The address sanitizer saw kernel code use memory that it did not own."
    KMSAN = "kmsan", 1, True, "The memory sanitizer saw kernel code use a value that was never written."
    KFENCE = "kfence", 1, True, "Kernel code used a sampled allocation outside its bounds or after it was freed."
    LOCKUP = "lockup", 2, True, "A CPU ran kernel code for too long without letting anything else run."
    RCU_STALL = "rcu-stall", 2, True, "A CPU or a task held up RCU: it ran, or was kept from running, for too long."
    HUNG_TASK = (
        "hung-task",
        2,
        True,
        ("A task has been blocked without waking for longer than kernel.hung_task_timeout_secs."),
    )
    ATOMIC = "atomic", 2, True, "Code that must not sleep slept, or tried to."
    KCSAN = "kcsan", 3, True, "Two CPUs accessed the same memory at once without a lock."
    UBSAN = "ubsan", 3, True, "Arithmetic or an index whose result the C standard leaves undefined."
    LOCKDEP = (
        "lockdep",
        3,
        True,
        ("The lock checker saw locks taken in an order that can deadlock; nothing need have hung yet."),
    )
    WARNING = "warning", 3, True, "The kernel found something unexpected and went on."
    MEMORY_LEAK = "memory-leak", 3, True, "Memory that nothing points to any more."
    REBOOT = "reboot", 2, True, "The machine started anew in the middle of the log."
    PROGRAM = "program", 3, True, "A program, not the kernel, reported its own end on this console."
    ALLOCATION_FAILURE = "allocation-failure", 3, False, "The kernel refused memory to one of its own callers."
    COMMIT_REFUSED = "commit-refused", 3, False, "The kernel refused to promise memory to a program (ENOMEM)."
    SEGFAULT = "segfault", 4, False, "A program accessed memory that it may not access."
    TRAP = "trap", 4, False, "The CPU refused an instruction of a program."
    MEMORY_INFO = "memory-info", 4, False, "The state of memory, printed on request."
