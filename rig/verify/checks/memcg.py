# SPDX-License-Identifier: MIT
"""What a memory cgroup's limits do, and whom its OOM kills."""

from __future__ import annotations

from rig.verify.check import Check, Source

__all__ = ["CHECKS"]

CGROUP = Source("Documentation/admin-guide/cgroup-v2.rst")
MEMCG = "CONSTRAINT_MEMCG"
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
            and f.text("oom_constraint") == MEMCG
            and f.killed() == {"eater"}
            and f["rss.outside"] > f["eaten"]
            and f["free"] > 2 * 20480
        ),
        control="oom-largest",
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
            and f.text("oom_constraint") == MEMCG
            and f["rss.large"] > 2 * f["rss.small"]
        ),
        control="oom-adj-max",
        given=MAX_24M,
        counterexamples=(
            {"oom_victim": "small", "killed": "small"},
            {"oom_constraint": "CONSTRAINT_NONE"},
            {"rss.large": 4},
        ),
    ),
    Check(
        "memcg-events",
        "oom",
        "memory.events counts each OOM and each kill of the cgroup.",
        (CGROUP, Source("mm/memcontrol.c", "mem_cgroup_out_of_memory")),
        lambda f: f["oom"] >= 1 and f["oom_kill"] == len(f.killed()) == 1 and f["max"] >= 1,
        control="oom-largest",
        given=MAX_20M,
        counterexamples=({"oom": 0}, {"oom_kill": 0}, {"max": 0}),
    ),
    Check(
        "memcg-group",
        "oom",
        "With memory.oom.group all processes of the cgroup are killed together, and none outside.",
        (CGROUP, Source("mm/oom_kill.c", "oom_kill_process", "3d8b38eb81ca")),
        lambda f: f.killed() == {"first", "second", "eater"},
        control="memcg-largest",
        given={**MAX_24M, "memory.oom.group": 1, "adj.second": 0},
        counterexamples=({"killed": "eater"}, {"killed": "outside,first,second,eater"}),
    ),
    Check(
        "memcg-group-protected",
        "oom",
        "memory.oom.group spares processes with oom_score_adj -1000.",
        (CGROUP, Source("mm/oom_kill.c", "oom_kill_memcg_member", "3d8b38eb81ca")),
        lambda f: f.killed() == {"first", "eater"},
        control="memcg-group",
        given={**MAX_24M, "memory.oom.group": 1, "adj.second": -1000},
        counterexamples=({"killed": "first,second,eater"}, {"killed": "eater"}),
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
)
