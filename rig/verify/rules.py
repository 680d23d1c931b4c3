# SPDX-License-Identifier: MIT
"""The kernel's own arithmetic, as the checks use it; pages are of 4 kB, sizes in kB."""

from __future__ import annotations

from rig.verify.check import Facts

__all__ = [
    "CONSTRAINT_MEMCG",
    "EACCES",
    "EAGAIN",
    "EINVAL",
    "ENOMEM",
    "ENOSPC",
    "badness_kb",
    "batch_kb",
    "limit_by_ratio",
    "score",
    "slack_kb",
]

# include/uapi/asm-generic/errno-base.h
EAGAIN, ENOMEM, EACCES, EINVAL, ENOSPC = 11, 12, 13, 22, 28
PAGE_KB = 4
# oom_constraint_text[] in mm/oom_kill.c: the OOM killer was called for a cgroup.
CONSTRAINT_MEMCG = "CONSTRAINT_MEMCG"


def limit_by_ratio(facts: Facts, ratio: int) -> int:
    """Return CommitLimit as vm_commit_limit() of mm/util.c computes it from vm.overcommit_ratio."""
    huge = int(facts.values.get("huge", "0"))
    pages = (facts["total"] - huge) // PAGE_KB * ratio // 100
    return pages * PAGE_KB + facts["swap"]


def batch_kb(total_kb: int, cpus: int) -> int:
    """Return what a CPU may hold back from vm_committed_as in mode 2: mm_compute_batch() of mm/mm_init.c.

    Since commit 56f3547bfa4d (5.9) it depends on the mode: RAM / CPUs / 256 in mode 2.
    """
    return max(total_kb // PAGE_KB // cpus // 256, cpus * 2, 32) * PAGE_KB


def slack_kb(limit_kb: int, cpus: int = 1) -> int:
    """Return by how much a refusal in mode 2 may miss the limit: a batch a CPU, and a page.

    The decision reads the counter without the per-CPU parts (percpu_counter_read_positive()). limit_kb is used in place
    of the RAM, of which it is a share: the checks' guests set vm.overcommit_ratio to 80.
    """
    return batch_kb(limit_kb * 100 // 80, cpus) * cpus + PAGE_KB


def badness_kb(facts: Facts, name: str, adj: int) -> int:
    """Return a process's badness in kB as oom_badness() of mm/oom_kill.c computes it.

    It is what the process holds in RAM, in swap and as page tables, and adj thousandths of all RAM and swap.
    """
    pages = (facts[f"{name}.rss"] + facts[f"{name}.swap"] + facts[f"{name}.tables"]) // PAGE_KB
    return (pages + adj * (facts["total"] // PAGE_KB // 1000)) * PAGE_KB


def score(badness: int, total_kb: int) -> int:
    """Return /proc/PID/oom_score for a badness in kB: proc_oom_score() of fs/proc/base.c, of 0 to 2000.

    C divides towards zero. Since commit 9066e5cfb73c (5.9).
    """
    thousandths = int(badness / PAGE_KB * 1000 / (total_kb // PAGE_KB))
    return (1000 + thousandths) * 2 // 3
