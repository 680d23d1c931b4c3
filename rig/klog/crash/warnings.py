# SPDX-License-Identifier: MIT
"""Rules for WARN() and its variants: an assertion failed, and the kernel went on.

Source: kernel/panic.c __warn(). An assertion in generic code (reference counts, object debugging, procfs) does not
blame that code: the title names the caller and the kind of misuse.
"""

from __future__ import annotations

from rig.klog.crash.blame import first_trace, warned
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

_SOURCE = r"[\w./-]+\.[a-z]+:\d+"


def _in(file: str, what: str, title: str, passed_over: str = "") -> Rule:
    return Rule(Kind.WARNING, rf"WARNING: .*{file}.* (?:{what})", title, (warned, first_trace), (), passed_over)


RULES = (
    _in(
        r"lib/debugobjects\.c",
        r"debug_print|debug_check|at",
        "WARNING: ODEBUG bug in {f}",
        r"debug_|rcu|hrtimer_|timer_|work_|percpu_|vunmap|vfree|__free_|debug_check|kobject_",
    ),
    _in(r"mm/usercopy\.c", r"usercopy_warn|at", "WARNING: bad usercopy in {f}", r"usercopy|__check"),
    _in(r"lib/kobject\.c", r"kobject_|at", "WARNING: kobject bug in {f}", r"kobject_"),
    _in(r"fs/proc/generic\.c", r"proc_register|at", "WARNING: proc registration bug in {f}", r"proc_"),
    _in(r"lib/refcount\.c", r"refcount_|at", "WARNING: refcount bug in {f}", r"refcount|kobject_"),
    Rule(
        Kind.WARNING,
        r"WARNING: .*kernel/locking/lockdep\.c.*lock_",
        "WARNING: locking bug in {f}",
        (warned, first_trace),
        (),
        r"lock_sock|release_sock",
    ),
    Rule(
        Kind.WARNING,
        r"WARNING: .*mm/.*\.c.* k.?.?malloc",
        "WARNING: kmalloc bug in {f}",
        (warned, first_trace),
        (),
        r"kmalloc|krealloc|slab|kmem",
    ),
    Rule(
        Kind.WARNING,
        r"WARNING: .*mm/vmalloc\.c.*__vmalloc_node",
        "WARNING: zero-size vmalloc in {f}",
        (warned, first_trace),
    ),
    Rule(
        Kind.WARNING,
        r"WARNING: .* usb_submit_urb",
        "WARNING in {f}/usb_submit_urb",
        (warned, first_trace),
        (),
        r"usb_(?:submit_urb|start_wait_urb|bulk_msg|interrupt_msg|control_msg)",
    ),
    Rule(
        Kind.WARNING,
        r"WARNING: kernel stack regs at [0-9a-f]+ in \S* has bad '(?P<register>[^']+)' value",
        "WARNING: kernel stack regs has bad '{register}' value",
        needs_trace=False,
    ),
    Rule(
        Kind.WARNING,
        r"WARNING: kernel stack frame pointer at [0-9a-f]+ in \S* has bad value",
        "WARNING: kernel stack frame pointer has bad value",
        needs_trace=False,
    ),
    # Any other form of the unwinder's two warnings, such as one with a hashed pointer.
    Rule(
        Kind.WARNING,
        r"WARNING: kernel stack (?:regs|frame pointer) .* has bad .*value",
        "WARNING: kernel stack regs has bad value",
        needs_trace=False,
    ),
    # Since 6.19 the line is `WARNING: file:line at condition, CPU#n: comm/pid`.
    Rule(Kind.WARNING, rf"WARNING: (?:\[.*\] |(?:.* )?at )?{_SOURCE}", "WARNING in {f}", (warned, first_trace)),
)
