# SPDX-License-Identifier: MIT
"""What fork, vfork, clone and exec charge, and when they are refused."""

from __future__ import annotations

from rig.verify.check import Check, Source
from rig.verify.rules import ENOMEM

__all__ = ["CHECKS"]

ACCOUNTING = Source("Documentation/mm/overcommit-accounting.rst")
DUP = Source("kernel/fork.c", "dup_mmap")

CHECKS = (
    Check(
        "fork-charged",
        "commit",
        "fork charges the child for each mapping of the parent that is charged (VM_ACCOUNT), touched or not.",
        (ACCOUNTING, Source("kernel/fork.c", "dup_mmap")),
        lambda f: (
            f["accounted"] > f["mapped"]
            and f["charged"] == f["touched_charged"] == f["accounted"]
            and f["errno"] == f["touched_errno"] == 0
        ),
        control="fork-shared",
        given={"resident": 0, "touched": 32768},
        counterexamples=(
            {"charged": 0},
            {"charged": 32768},
            {"errno": ENOMEM},
            {"touched_charged": 0},
            {"touched_errno": ENOMEM},
        ),
    ),
    Check(
        "fork-shared",
        "commit",
        "fork does not charge shared memory again.",
        (ACCOUNTING, Source("kernel/fork.c", "dup_mmap")),
        lambda f: f["accounted"] < f["mapped"] and f["charged"] == f["accounted"] and f["errno"] == 0,
        control="fork-charged",
        given={"shared": 1},
        counterexamples=({"charged": "+32768"}, {"errno": ENOMEM}),
    ),
    Check(
        "fork-refused",
        "commit",
        "In mode 2 fork fails with ENOMEM when the child's charge would exceed CommitLimit, where mode 0 grants it.",
        (ACCOUNTING, Source("kernel/fork.c", "dup_mmap")),
        lambda f: f["committed"] + 2 * f["held"] > f["limit"] and f["errno"] == ENOMEM and f["control_mode0"] == 0,
        control="within",
        given={"overcommit_memory": 2},
        counterexamples=({"errno": 0}, {"control_mode0": ENOMEM}),
    ),
    Check(
        "vfork-free",
        "commit",
        "vfork (CLONE_VM and CLONE_VFORK) charges nothing: there is one address space.",
        (Source("kernel/fork.c", "copy_mm"),),
        lambda f: f["charged"] == 0,
        control="fork-charged",
        given={"mapped": 32 << 10, "shares": 1, "waited": 1},
        counterexamples=({"charged": 32768},),
    ),
    Check(
        "clone-vm-free",
        "commit",
        "clone with CLONE_VM charges nothing.",
        (Source("kernel/fork.c", "copy_mm"),),
        lambda f: f["charged"] == 0 and f["errno"] == 0,
        control="fork-charged",
        given={"mapped": 32 << 10},
        counterexamples=({"charged": 32768}, {"errno": ENOMEM}),
    ),
    Check(
        "fork-dontfork",
        "commit",
        "fork does not charge a mapping with MADV_DONTFORK: the child does not get it.",
        (DUP,),
        lambda f: f["charged"] == f["accounted"] - f["mapped"] and f["errno"] == 0,
        control="fork-charged",
        given={"dontfork": 1},
        counterexamples=({"charged": "+32768"}, {"errno": ENOMEM}),
    ),
    Check(
        "fork-wipeonfork",
        "commit",
        "fork charges a mapping with MADV_WIPEONFORK in full, though the child gets it empty.",
        (Source("kernel/fork.c", "dup_mmap", "d2cd9ede6e19"),),
        lambda f: (
            f["charged"] == f["accounted"] and f["control_reads"] == f["parent_reads"] == 42 and f["child_reads"] == 0
        ),
        control="within",
        given={"wipeonfork": 1},
        counterexamples=({"charged": "-32768"}, {"child_reads": 42}, {"parent_reads": 0}, {"control_reads": 0}),
    ),
    Check(
        "fork-mode0-each",
        "commit",
        "In mode 0 fork judges each mapping alone: a process of one and a half times RAM forks, unless one mapping "
        "alone exceeds RAM and swap.",
        (DUP, Source("mm/util.c", "__vm_enough_memory", "8c7829b04c52")),
        lambda f: (
            f["grown"] >= 2 * f["each"] > f["total"] > f["each"] and f["errno_each"] == 0 and f["errno_one"] == ENOMEM
        ),
        control="within",
        given={"overcommit_memory": 0},
        counterexamples=({"errno_each": ENOMEM}, {"errno_one": 0}, {"each": 1000}, {"grown": "-8"}),
    ),
    Check(
        "spawn-mode2",
        "commit",
        "In mode 2 a process that is too large to fork still starts programs by posix_spawn (vfork and exec), which "
        "does not copy its charge.",
        (Source("kernel/fork.c", "copy_mm"), Source("fs/exec.c", "bprm_mm_init")),
        lambda f: f["committed"] + 2 * f["held"] > f["limit"] and f["control_fork"] == ENOMEM and f["errno"] == 0,
        control="within",
        given={"overcommit_memory": 2},
        counterexamples=({"errno": ENOMEM}, {"control_fork": 0}),
    ),
    Check(
        "exec-returns",
        "commit",
        "exec gives the charge of the old program back.",
        (Source("fs/exec.c", "exec_mmap"),),
        lambda f: f["during"] > f["mapped"] and 0 < f["after"] < 4096,
        control="within",
        counterexamples=({"after": 33468}, {"during": 0}, {"after": 0}),
    ),
)
