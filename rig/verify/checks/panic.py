# SPDX-License-Identifier: MIT
"""When the kernel panics instead of killing, and when it does not."""

from __future__ import annotations

from rig.verify.check import Check, Source

__all__ = ["CHECKS"]

VM = Source("Documentation/admin-guide/sysctl/vm.rst")
PANIC = Source("mm/oom_kill.c", "check_panic_on_oom")
SYSTEM_WIDE = "Out of memory: system-wide panic_on_oom is enabled"

CHECKS = (
    Check(
        "panic-1-memcg",
        "oom",
        "vm.panic_on_oom=1 does not panic for a cgroup's OOM.",
        (VM, PANIC),
        lambda f: f["panics"] == 0 and f.killed() == {"eater"} and f.text("oom_constraint") == "CONSTRAINT_MEMCG",
        control="panic-2-memcg",
        given={"panic_on_oom": 1, "memory.max": 20 << 20},
        counterexamples=({"panics": 1}, {"killed": "nobody"}, {"oom_constraint": "CONSTRAINT_NONE"}),
    ),
    Check(
        "panic-1-sysrq",
        "oom",
        "vm.panic_on_oom=1 does not make SysRq f panic.",
        (VM, PANIC),
        lambda f: f["panics"] == 0 and f.killed() == {"large"} and f["oom_order"] == -1,
        control="panic-1-global",
        given={"panic_on_oom": 1},
        counterexamples=({"panics": 1}, {"killed": "nobody"}, {"oom_order": 0}),
    ),
    Check(
        "panic-1-cpuset",
        "numa",
        "vm.panic_on_oom=1 does not panic for a cpuset's OOM.",
        (VM, PANIC),
        lambda f: (
            f["panics"] == 0
            and f["ooms"] == 1
            and f.killed() == {"inside"}
            and f.text("oom_constraint") == "CONSTRAINT_CPUSET"
        ),
        control="panic-1-global",
        given={"panic_on_oom": 1, "cpuset.mems": 1},
        counterexamples=({"panics": 1}, {"oom_constraint": "CONSTRAINT_NONE"}, {"killed": "nobody"}),
    ),
    Check(
        "panic-1-mempolicy",
        "numa",
        "vm.panic_on_oom=1 does not panic for a memory policy's OOM.",
        (VM, PANIC),
        lambda f: (
            f["panics"] == 0
            and f["ooms"] == 1
            and f.killed() == {"bound"}
            and f.text("oom_constraint") == "CONSTRAINT_MEMORY_POLICY"
        ),
        control="panic-1-global",
        given={"panic_on_oom": 1, "node.bound": 1, "node.eater": 1},
        counterexamples=({"panics": 1}, {"oom_constraint": "CONSTRAINT_NONE"}, {"killed": "nobody"}),
    ),
    Check(
        "panic-1-global",
        "panic",
        "vm.panic_on_oom=1 panics when the whole machine is out of memory.",
        (VM, PANIC),
        lambda f: f["panics"] == 1 and "system-wide panic_on_oom" in f.text("panic"),
        control="oom-largest",
        given={"panic_on_oom": 1},
        counterexamples=({"panics": 0}, {"panic": "Out of memory: compulsory panic_on_oom is enabled"}),
    ),
    Check(
        "panic-2-memcg",
        "panic",
        "vm.panic_on_oom=2 panics for a cgroup's OOM too.",
        (VM, PANIC),
        # With 2 the kernel prints "compulsory" for every OOM: the limit in the report tells that it was a cgroup's.
        lambda f: (
            f["panics"] == 1
            and "compulsory panic_on_oom" in f.text("panic")
            and f.values.get("oom_limit_memory") == "20480"
        ),
        control="panic-1-memcg",
        given={"panic_on_oom": 2, "memory.max": 20 << 20},
        counterexamples=({"panics": 0}, {"panic": SYSTEM_WIDE}, {"oom_limit_memory": "None"}),
    ),
    Check(
        "nobody-killable",
        "panic",
        "The kernel panics when memory is out and no process may be killed.",
        (Source("mm/oom_kill.c", "out_of_memory"),),
        lambda f: f["panics"] == 1 and "deadlocked on memory" in f.text("panic"),
        control="oom-adj-min",
        given={"adj.large": -1000, "adj.eater": -1000},
        counterexamples=({"panics": 0}, {"panic": SYSTEM_WIDE}),
    ),
)
