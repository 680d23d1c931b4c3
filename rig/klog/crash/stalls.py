# SPDX-License-Identifier: MIT
"""Rules for hung tasks, soft and hard lockups, RCU stalls and workqueue lockups.

Sources: kernel/hung_task.c, kernel/watchdog.c, kernel/watchdog_hld.c (watchdog_perf.c since 6.5),
kernel/rcu/tree_stall.h, kernel/workqueue.c, kernel/sched/core.c.
"""

from __future__ import annotations

from rig.klog.crash import choose
from rig.klog.crash.blame import asked_by_nmi, fault, first_trace, pointer_first, stalled
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

RULES = (
    Rule(
        Kind.HUNG_TASK,
        r"INFO: task .{0,100}? blocked (?:in I/O wait )?for more than \d+ seconds",
        "INFO: task hung in {f}",
        (first_trace,),
        ("hang in {f}",),
        choose=choose.hung,
    ),
    Rule(
        Kind.HUNG_TASK,
        r"INFO: task .{0,100}? can't die for more than .* seconds",
        "INFO: task can't die in {f}",
        (first_trace,),
        ("hang in {f}",),
        r"schedule",
    ),
    # A task's name may contain a newline, which splits the first line in two.
    Rule(
        Kind.HUNG_TASK,
        r"INFO: task [^:]*$",
        "INFO: task hung in {f}",
        (first_trace,),
        ("hang in {f}",),
        choose=choose.hung,
        detail=r"INFO: task [\s\S]{0,100}? blocked (?:in I/O wait )?for more than \d+ seconds",
    ),
    Rule(
        Kind.LOCKUP,
        r"BUG: soft lockup",
        "BUG: soft lockup in {f}",
        (fault,),
        ("stall in {f}",),
        choose=choose.looping,
    ),
    Rule(
        Kind.LOCKUP,
        r"(?:Watchdog detected hard LOCKUP|hard LOCKUP on cpu)",
        "hard lockup in {f}",
        (fault,),
        ("stall in {f}",),
        choose=choose.looping,
        keywords=("hard LOCKUP",),
    ),
    Rule(
        Kind.RCU_STALL,
        r"INFO: rcu_(?:preempt|sched|bh|tasks) (?:self-)?detected(?: expedited)? stall",
        "INFO: rcu detected stall in {f}",
        (stalled, pointer_first, asked_by_nmi),
        ("stall in {f}",),
        r"apic_timer_interrupt|rcu",
        choose=choose.looping,
    ),
    Rule(Kind.LOCKUP, r"BUG: workqueue lockup", "BUG: workqueue lockup", needs_trace=False),
    Rule(
        Kind.ATOMIC,
        r"BUG: scheduling while atomic",
        "BUG: scheduling while atomic in {f}",
        (first_trace,),
        (),
        r"schedule",
    ),
    Rule(
        Kind.ATOMIC,
        r"BUG: sleeping function called from invalid context",
        "BUG: sleeping function called from invalid context in {f}",
        (first_trace,),
    ),
    Rule(
        Kind.ATOMIC,
        r"BUG: using (?P<what>[a-z_]+)\(\) in preemptible",
        "BUG: using {what}() in preemptible code in {f}",
        (first_trace,),
        (),
        r"dump_stack|preempt|debug_|processor_id|this_cpu",
    ),
    Rule(
        Kind.ATOMIC,
        r"BUG: workqueue leaked lock or atomic",
        "BUG: workqueue leaked lock or atomic in {function}",
        detail=r"last function: (?P<function>\w+)",
        needs_trace=False,
    ),
)
