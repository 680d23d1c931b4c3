# SPDX-License-Identifier: MIT
"""What a memory cgroup's limits do, and whom its OOM kills."""

from __future__ import annotations

from rig.verify.check import Check, Source
from rig.verify.rules import CONSTRAINT_MEMCG, ENOMEM

__all__ = ["CHECKS"]

CGROUP = Source("Documentation/admin-guide/cgroup-v2.rst")
# The victim is the first one: on 7.x a second process may die before the first one's memory is uncharged.
MAX_20M, MAX_24M = {"memory.max": 20 << 20}, {"memory.max": 24 << 20}

CHECKS = (
    Check(
        "memcg-limit",
        "oom",
        "A cgroup at memory.max has an OOM of its own: the victim is one of its processes, though a larger one is "
        "outside and memory is free.",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_out_of_memory")),
        lambda f: (
            f.text("oom_victim") == "eater"
            and f.text("oom_constraint") == CONSTRAINT_MEMCG
            and f.killed() == {"eater"}
            and f["rss.outside"] > f["eaten"]
            and f["free"] - f["eaten"] > 8192
        ),
        control="~memory.max",
        given=MAX_20M,
        counterexamples=(
            {"killed": "outside"},
            {"oom_constraint": "CONSTRAINT_NONE"},
            {"free": 100},
            {"rss.outside": 4},
        ),
    ),
    Check(
        "memcg-largest",
        "oom",
        "Within a cgroup the process with the highest badness is killed.",
        (Source("mm/oom_kill.c", "select_bad_process"), Source("mm/memcontrol.c", "mem_cgroup_scan_tasks")),
        lambda f: (
            "large" in f.killed()
            and f.text("oom_victim") == "large"
            and f.text("oom_constraint") == CONSTRAINT_MEMCG
            and f["rss.large"] > 2 * f["rss.small"]
        ),
        control="memcg-adj",
        given=MAX_24M,
        counterexamples=(
            {"oom_victim": "small", "killed": "small"},
            {"oom_constraint": "CONSTRAINT_NONE"},
            {"rss.large": 4},
        ),
    ),
    Check(
        "memcg-adj",
        "oom",
        "Within a cgroup oom_score_adj counts as everywhere: with 1000 a small process is the first to go.",
        (Source("mm/oom_kill.c", "oom_badness"), Source("mm/memcontrol.c", "mem_cgroup_scan_tasks")),
        lambda f: (
            f.text("oom_victim") == "small"
            and f.text("oom_constraint") == CONSTRAINT_MEMCG
            and f["rss.large"] > 2 * f["rss.small"]
        ),
        control="memcg-largest",
        given={**MAX_24M, "adj.large": 0, "adj.small": 1000},
        counterexamples=(
            {"oom_victim": "large", "killed": "large"},
            {"oom_constraint": "CONSTRAINT_NONE"},
            {"rss.large": 4},
        ),
    ),
    Check(
        "memcg-events",
        "oom",
        "memory.events counts each OOM and each kill of the cgroup.",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_out_of_memory")),
        lambda f: (
            f["oom"] >= 1
            and f["oom_kill"] == len(f.killed()) == 1
            and f["max"] >= 1
            and f["control_oom"] == f["control_oom_kill"] == f["control_max"] == 0
        ),
        control="within",
        given=MAX_20M,
        counterexamples=({"oom": 0}, {"oom_kill": 0}, {"max": 0}, {"control_oom": 1}, {"control_oom_kill": 1}),
    ),
    Check(
        "memcg-group",
        "oom",
        "With memory.oom.group all processes of the cgroup are killed together, and none outside.",
        (CGROUP, Source("mm/oom_kill.c", "oom_kill_process", "3d8b38eb81ca")),
        lambda f: f.killed() == {"first", "second", "eater"} and f["rss.outside"] > 2 * f["rss.first"],
        control="memcg-one",
        given={**MAX_24M, "memory.oom.group": 1, "adj.second": 0},
        counterexamples=({"killed": "eater"}, {"killed": "outside,first,second,eater"}, {"rss.outside": 4}),
    ),
    Check(
        "memcg-one",
        "oom",
        "Without memory.oom.group one process of the cgroup is killed: the one with the highest badness.",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_get_oom_group")),
        lambda f: f.text("oom_victim") == "eater" and f.killed() == {"eater"} and f["rss.outside"] > 2 * f["rss.first"],
        control="memcg-group",
        given={**MAX_24M, "memory.oom.group": 0, "adj.second": 0},
        counterexamples=(
            {"killed": "first,second,eater"},
            {"killed": "first,eater"},
            {"oom_victim": "second"},
            {"killed": "nobody"},
            {"rss.outside": 4},
        ),
    ),
    Check(
        "memcg-group-protected",
        "oom",
        "memory.oom.group spares processes with oom_score_adj -1000.",
        (CGROUP, Source("mm/oom_kill.c", "oom_kill_memcg_member", "3d8b38eb81ca")),
        lambda f: f.killed() == {"first", "eater"} and f["rss.outside"] > 2 * f["rss.first"],
        control="memcg-group",
        given={**MAX_24M, "memory.oom.group": 1, "adj.second": -1000},
        counterexamples=({"killed": "first,second,eater"}, {"killed": "eater"}, {"rss.outside": 4}),
    ),
    Check(
        "memcg-allocating",
        "oom",
        "vm.oom_kill_allocating_task is ignored for a cgroup's OOM: the largest process is killed.",
        (Source("mm/oom_kill.c", "out_of_memory"),),
        lambda f: (
            "large" in f.killed()
            and f.text("oom_invoker") == "eater"
            and f.text("oom_victim") == "large"
            and f["eaten"] < f["rss.large"]
        ),
        control="oom-allocating",
        given={**MAX_24M, "oom_kill_allocating_task": 1},
        counterexamples=({"oom_victim": "eater"}, {"killed": "eater"}, {"rss.large": 4}),
    ),
    Check(
        "memcg-ancestor",
        "oom",
        "When a limit above the process's own cgroup is reached, the victim may be in any cgroup below that limit.",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_scan_tasks")),
        lambda f: (
            f.text("oom_victim") == "sibling"
            and f.text("oom_invoker") == "eater"
            and f.text("oom_memcg") == "/verify"
            and f.text("oom_constraint") == CONSTRAINT_MEMCG
        ),
        control="~ancestor",
        given=MAX_24M,
        counterexamples=({"oom_victim": "eater"}, {"oom_memcg": "/verify/b"}, {"oom_constraint": "CONSTRAINT_NONE"}),
    ),
    Check(
        "memcg-high",
        "oom",
        "memory.high never kills: a process that allocates above it is made to wait (2 MB above 16 MB: for more than "
        "half a second).",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_handle_over_high")),
        lambda f: (
            f["high"] > 0
            and f["oom_kill"] == 0
            and f["ooms"] == 0
            and f["current"] > 16384
            and f["milliseconds"] > f["control_milliseconds"] + 500
            and f["control_high"] == 0
        ),
        control="within",
        given={"memory.high": 16 << 20},
        counterexamples=(
            {"high": 0},
            {"oom_kill": 1},
            {"ooms": 1},
            {"current": 8000},
            {"milliseconds": 20},
            {"control_milliseconds": "+60000"},
            {"control_high": 1},
        ),
    ),
    Check(
        "memcg-shrink",
        "oom",
        "memory.max set below what a cgroup uses kills in it when nothing can be reclaimed.",
        (CGROUP, Source("mm/memcontrol.c", "memory_max_write")),
        lambda f: (
            f.killed() == {"inside"}
            and f["before"] > 8192
            and f["control_oom_kill"] == 0
            and f.text("oom_constraint") == CONSTRAINT_MEMCG
            and f["ooms"] >= 1
        ),
        control="within",
        given={"memory.max": 8 << 20},
        counterexamples=(
            {"killed": "nobody"},
            {"killed": "outside"},
            {"before": 4096},
            {"ooms": 0},
            {"control_oom_kill": 1},
        ),
    ),
    Check(
        "memcg-swap-max",
        "swap",
        "With memory.swap.max=0 a cgroup at memory.max is killed in while swap is free.",
        (CGROUP, Source("mm/memcontrol.c", "__mem_cgroup_try_charge_swap")),
        lambda f: (
            f.killed() == {"eater"}
            and f["eaten"] < 24 * 1024
            and f["swap_free"] > 32 * 1024
            and f["control_swapped"] > 8 * 1024
            and f["control_oom_kill"] == 0
        ),
        control="within",
        given={"memory.max": 20 << 20, "memory.swap.max": 0},
        counterexamples=(
            {"killed": "nobody"},
            {"eaten": 60000},
            {"swap_free": 0},
            {"control_swapped": 0},
            {"control_oom_kill": 1},
        ),
    ),
    Check(
        "memcg-protected",
        "oom",
        "A cgroup at memory.max in which nobody may be killed does not panic the kernel: a write fails with ENOMEM.",
        (Source("mm/oom_kill.c", "out_of_memory"), Source("mm/memcontrol.c", "try_charge_memcg")),
        lambda f: f["errno"] == ENOMEM and f["oom"] >= 1 and f["oom_kill"] == 0 and f["panics"] == 0,
        control="~memory.max",
        given={"memory.max": 8 << 20, "adj.self": -1000},
        counterexamples=({"errno": 0}, {"oom": 0}, {"oom_kill": 1}, {"panics": 1}),
    ),
    Check(
        "memcg-fork",
        "oom",
        "fork fails with ENOMEM in a cgroup at memory.max, for its kernel memory, though the machine has memory free.",
        (CGROUP, Source("kernel/fork.c", "alloc_thread_stack_node")),
        lambda f: (
            f["control_before"] == 0
            and f["write"] == ENOMEM
            and f["errno"] == ENOMEM
            and f["free"] > 16384
            and f["oom_kill"] == 0
        ),
        control="within",
        given={"memory.max": 8 << 20, "adj.self": -1000},
        counterexamples=({"errno": 0}, {"write": 0}, {"free": 1}, {"oom_kill": 1}, {"control_before": ENOMEM}),
    ),
)
