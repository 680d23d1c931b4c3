# SPDX-License-Identifier: MIT
"""Whom the OOM killer kills when the machine, or what a process may allocate from, has no memory left."""

from __future__ import annotations

from rig.verify.check import Check, Source

__all__ = ["CHECKS"]

VM = Source("Documentation/admin-guide/sysctl/vm.rst")
PROC = Source("Documentation/filesystems/proc.rst")
BADNESS = Source("mm/oom_kill.c", "oom_badness", "a63d83f427fb")

CHECKS = (
    Check(
        "oom-largest",
        "oom",
        "The OOM killer kills the process with the highest badness: the one that holds most.",
        (BADNESS,),
        lambda f: (
            f.killed() == {"large"}
            and f.text("oom_victim") == "large"
            and f.text("oom_constraint") == "CONSTRAINT_NONE"
            and f["rss.large"] > 2 * f["rss.small"]
        ),
        control="oom-adj-min",
        given={"adj.large": 0, "adj.small": 0},
        counterexamples=(
            {"killed": "small", "oom_victim": "small"},
            {"oom_constraint": "CONSTRAINT_MEMCG"},
            {"rss.large": 4},
        ),
    ),
    Check(
        "oom-adj-min",
        "oom",
        "oom_score_adj -1000 exempts a process, though it holds most.",
        (PROC, BADNESS),
        lambda f: f.killed() == {"small"} and f.text("oom_victim") == "small" and f["rss.large"] > 2 * f["rss.small"],
        control="oom-largest",
        given={"adj.large": -1000, "adj.small": 0},
        counterexamples=(
            {"killed": "large", "oom_victim": "large"},
            {"killed": "nobody"},
            {"rss.large": 4},
        ),
    ),
    Check(
        "oom-adj-max",
        "oom",
        "oom_score_adj 1000 makes a small process the first to go.",
        (PROC, BADNESS),
        lambda f: f.killed() == {"small"} and f.text("oom_victim") == "small" and f["rss.large"] > 2 * f["rss.small"],
        control="oom-largest",
        given={"adj.large": 0, "adj.small": 1000},
        counterexamples=({"killed": "large", "oom_victim": "large"}, {"rss.large": 4}),
    ),
    Check(
        "oom-allocating",
        "oom",
        "With vm.oom_kill_allocating_task the process that asked is killed, though another holds more.",
        (VM, Source("mm/oom_kill.c", "out_of_memory")),
        lambda f: (
            f.text("oom_invoker") == f.text("oom_victim") == "eater"
            and f.killed() == {"eater"}
            and f["eaten"] < f["rss.large"]
        ),
        control="oom-largest",
        given={"oom_kill_allocating_task": 1},
        counterexamples=({"killed": "large", "oom_victim": "large"}, {"rss.large": 1000}),
    ),
    Check(
        "oom-dump-tasks-0",
        "oom",
        "With vm.oom_dump_tasks=0 the report has no table of tasks.",
        (VM, Source("mm/oom_kill.c", "dump_header")),
        lambda f: f["ooms"] == 1 and f["oom_tasks"] == 0,
        control="oom-dump-tasks-1",
        given={"oom_dump_tasks": 0},
        counterexamples=({"oom_tasks": 3}, {"ooms": 0}),
    ),
    Check(
        "oom-dump-tasks-1",
        "oom",
        "With vm.oom_dump_tasks=1 the report lists the tasks.",
        (VM, Source("mm/oom_kill.c", "dump_header")),
        lambda f: f["ooms"] == 1 and f["oom_tasks"] > 1,
        control="oom-dump-tasks-0",
        given={"oom_dump_tasks": 1},
        counterexamples=({"oom_tasks": 0}, {"ooms": 0}),
    ),
    Check(
        "sysrq-f",
        "oom",
        "SysRq f kills the process with the highest badness while memory is free; the report's order is -1.",
        (Source("Documentation/admin-guide/sysrq.rst"), Source("drivers/tty/sysrq.c", "moom_callback")),
        lambda f: f.killed() == {"large"} and f["oom_order"] == -1 and f["free"] > f["rss.large"] > 2 * f["rss.small"],
        control="~sysrq",
        counterexamples=({"killed": "small"}, {"oom_order": 0}, {"free": 1000}, {"rss.large": 4}),
    ),
    Check(
        "oom-allocating-protected",
        "oom",
        "With vm.oom_kill_allocating_task a process that asked and has oom_score_adj -1000 is spared: the one with the "
        "highest badness is killed.",
        (VM, Source("mm/oom_kill.c", "out_of_memory")),
        lambda f: f.killed() == {"large"} and f.text("oom_invoker") == "eater" and f.text("oom_victim") == "large",
        control="oom-allocating",
        given={"oom_kill_allocating_task": 1, "adj.eater": -1000},
        counterexamples=({"killed": "eater", "oom_victim": "eater"}, {"killed": "nobody"}),
    ),
    Check(
        "oom-init",
        "oom",
        "The first process and kernel threads are never killed, whatever their oom_score_adj.",
        (Source("mm/oom_kill.c", "oom_unkillable_task"),),
        lambda f: (
            f["panics"] == 0
            and f.killed() == {"large"}
            and f["score.kthreadd"] == 0
            and f.text("control_killed") == "ordinary"
        ),
        control="within",
        given={"adj.init": 1000, "adj.kthreadd": 1000},
        counterexamples=({"panics": 1}, {"killed": "nobody"}, {"score.kthreadd": 1333}, {"control_killed": "large"}),
    ),
    Check(
        "oom-sharers",
        "oom",
        "All processes that share the victim's memory (CLONE_VM) are killed with it.",
        (Source("mm/oom_kill.c", "__oom_kill_process"),),
        lambda f: f.killed() == {"large", "twin"} and f["ooms"] == 1,
        control="~vm",
        counterexamples=({"killed": "large"}, {"killed": "large,twin,small"}, {"ooms": 2}),
    ),
    Check(
        "oom-vfork",
        "oom",
        "A child between vfork and exec is passed over: its memory is its parent's.",
        (Source("mm/oom_kill.c", "oom_badness", "b18dc5f291c0"),),
        lambda f: f.killed() == {"other"} and f["rss.other"] > 2 * f["rss.twin"] > 0,
        control="~vfork",
        given={"adj.twin": 1000, "adj.other": 0},
        counterexamples=({"killed": "parent,twin"}, {"rss.other": 4}),
    ),
    Check(
        "cpuset-oom",
        "numa",
        "A cpuset without memory has an OOM of its own constraint. Its victim may not be a process that allocates from "
        "other nodes, however large.",
        (
            Source("Documentation/admin-guide/cgroup-v1/cpusets.rst"),
            Source("mm/oom_kill.c", "constrained_alloc"),
            Source("mm/oom_kill.c", "oom_cpuset_eligible"),
        ),
        lambda f: (
            f["ooms"] == 1
            and f.killed() == {"inside"}
            and f.text("oom_constraint") == "CONSTRAINT_CPUSET"
            and f["rss.outside"] > 2 * f["rss.inside"]
        ),
        control="~cpuset",
        given={"cpuset.mems": 1},
        counterexamples=(
            {"killed": "outside"},
            {"oom_constraint": "CONSTRAINT_NONE"},
            {"ooms": 2},
            {"rss.outside": 4},
        ),
    ),
    Check(
        "mempolicy-oom",
        "numa",
        "A process that is bound to a node by its memory policy has an OOM of that constraint.",
        (Source("mm/oom_kill.c", "constrained_alloc"), Source("mm/mempolicy.c", "mempolicy_in_oom_domain")),
        lambda f: f["ooms"] == 1 and f.killed() == {"bound"} and f.text("oom_constraint") == "CONSTRAINT_MEMORY_POLICY",
        control="~mempolicy",
        given={"node.bound": 1, "node.eater": 1},
        counterexamples=({"oom_constraint": "CONSTRAINT_NONE"}, {"killed": "nobody"}, {"ooms": 0}),
    ),
)
