# SPDX-License-Identifier: MIT
"""The table of remedies.

The explanation of an event, the trial of remedies on a run, and the generated documents all read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from rig.klog.event import Event
from rig.klog.explain.amounts import largest_of_cgroup, managed_kb
from rig.klog.explain.facts import cgroup_counter, next_in_line, refuses_commitments, without_swap
from rig.klog.explain.remedy import How, RemedyRow, Setting
from rig.klog.explain.words import size
from rig.klog.oom.badness import page_table_pages
from rig.klog.oom.oom_event import OomEvent

__all__ = ["TABLE"]


def _refused(event: Event) -> bool:
    return refuses_commitments(event)


def _scope(*scopes: str) -> Callable[[Event], bool]:
    return lambda event: isinstance(event, OomEvent) and event.scope in scopes


def _machine(event: Event) -> bool:
    return isinstance(event, OomEvent) and event.scope not in ("memcg", "sysrq")


def _oom(event: Event) -> bool:
    return isinstance(event, OomEvent)


def _cgroup_limit(event: Event) -> bool:
    memory = cgroup_counter(event, "memory")
    return memory is not None and memory.limit_kb is not None


def _unified(event: Event) -> bool:
    """Return whether the report is from cgroup v2, which counts swap separately; v1 counts memory+swap."""
    return cgroup_counter(event, "swap") is not None


def _cgroup_without_swap(event: Event) -> bool:
    swap = cgroup_counter(event, "swap")
    return swap is not None and swap.limit_kb == 0


def _one_of_a_cgroup(event: Event) -> bool:
    """Return whether a task of a cgroup v2 was killed alone.

    memory.oom.group exists since 4.19 (3d8b38eb81ca), and only in cgroup v2.
    """
    return (
        isinstance(event, OomEvent)
        and _unified(event)
        and _full_of_processes(event)
        and not event.oom_group
        and bool(event.kills)
    )


def _full_of_processes(event: OomEvent) -> bool:
    """Return whether a kill gives back what filled memory; also True where a cgroup's report does not tell."""
    return largest_of_cgroup(event)[0] in ("", "anon", "pagetables", "kernel_stack")


def _killed(event: Event) -> bool:
    return isinstance(event, OomEvent) and _full_of_processes(event) and event.victim is not None


def _limit_of(event: OomEvent) -> str:
    memory = cgroup_counter(event, "memory")
    return f"{size(memory.limit_kb or 0)} for {event.oom_memcg}" if memory is not None else ""


def _score_of(event: OomEvent) -> str:
    return f"{event.victim.comm if event.victim else ''} (OOMScoreAdjust= in its unit): {next_in_line(event)}"


def _largest_of(event: Event) -> str:
    """Return the name that holds most, page tables counted; empty where that is less than a tenth of memory."""
    if not isinstance(event, OomEvent):
        return ""
    held: Counter[str] = Counter()
    for row in event.tasks:
        held[row.name] += row.rss + page_table_pages(row, event.page_kb)
    name, pages = max(held.items(), key=lambda item: item[1], default=("", 0))
    return name if pages * event.page_kb * 10 >= managed_kb(event) else ""


def _several_pages(event: Event) -> bool:
    return isinstance(event, OomEvent) and _machine(event) and (event.order or 0) > 0


def _mapped_many_times(event: Event) -> bool:
    """Return whether the resident sets add up to more than there is, so that the same pages are in several of them."""
    if not isinstance(event, OomEvent) or not _machine(event):
        return False
    return sum(row.rss for row in event.tasks) * event.page_kb > managed_kb(event) > 0


# In the order in which they are printed.
TABLE: tuple[RemedyRow, ...] = (
    RemedyRow(
        "sysrq-mask",
        "the OOM killer was called by SysRq f",
        _scope("sysrq"),
        (Setting(How.SYSCTL, "kernel.sysrq"),),
        "kernel.sysrq without bit 64 (signalling of processes): SysRq f does nothing",
        "no way to free a stuck machine by hand",
    ),
    RemedyRow(
        "wider-cpuset",
        "a cpuset allowed only some nodes",
        _scope("cpuset"),
        (Setting(How.CGROUP, "cpuset.mems"),),
        "more nodes in cpuset.mems",
        "slower access to memory of other nodes",
        measured="0-1 instead of 1: a program of 90M ends (node 1 has 64M)",
    ),
    RemedyRow(
        "preferred-node",
        "a memory policy allowed only some nodes",
        _scope("mempolicy"),
        (Setting(How.POLICY, "MPOL_PREFERRED"),),
        "a memory policy that prefers nodes instead of binding to them (MPOL_PREFERRED, numactl --preferred)",
        "slower access to memory of other nodes",
        measured="preferred instead of bound: a program of 90M ends (node 1 has 64M)",
    ),
    RemedyRow(
        "memory.max",
        "a cgroup reached its memory limit",
        _cgroup_limit,
        (Setting(How.CGROUP, "memory.max"),),
        "a higher limit than {} (memory.max, in cgroup v1 memory.limit_in_bytes; in a container the memory limit)",
        "the machine must have it to spare, or the next report is a global one",
        _limit_of,
        measured="128M instead of 32M: a program of 60M ends, and is not killed",
        causes=("cgroup-memory",),
    ),
    RemedyRow(
        "memory.memsw.limit_in_bytes",
        "a cgroup of version 1 reached its limit of memory and swap",
        _oom,
        (Setting(How.CGROUP, "memory.memsw.limit_in_bytes"),),
        "a higher memory.memsw.limit_in_bytes: the rest of the group can be swapped",
        "what is swapped answers slowly",
        measured="128M instead of 64M, with swap: a program of 90M ends",
        causes=("cgroup-memsw",),
    ),
    RemedyRow(
        "memory.high",
        "a cgroup reached its memory limit",
        _scope("memcg"),
        (Setting(How.CGROUP, "memory.high"),),
        "memory.high below memory.max: the cgroup is slowed and reclaimed before it is killed",
        "it may crawl for long before anybody notices",
    ),
    RemedyRow(
        "memory.low",
        "a cgroup that should have been spared lost its memory",
        lambda event: isinstance(event, OomEvent) and event.scope in ("global", "memcg"),
        (Setting(How.CGROUP, "memory.low"), Setting(How.CGROUP, "memory.min")),
        "memory.low or memory.min for the cgroup that is to keep its memory",
        "the others are reclaimed harder, and killed earlier",
    ),
    RemedyRow(
        "memory.swap.max",
        "a cgroup that may use no swap reached its memory limit",
        _cgroup_without_swap,
        (Setting(How.CGROUP, "memory.swap.max"),),
        "swap for the cgroup (memory.swap.max)",
        "what is swapped answers slowly",
        measured="512M of swap for the group of 128M: nobody is killed",
        causes=("cgroup-memory",),
    ),
    RemedyRow(
        "memory.oom.group",
        "one task of a cgroup was killed and the others went on",
        _one_of_a_cgroup,
        (Setting(How.CGROUP, "memory.oom.group", "1"),),
        "memory.oom.group=1: the whole cgroup is killed and restarts clean",
        "innocent processes of the cgroup die as well",
        measured="every process of the group was killed",
    ),
    RemedyRow(
        "swap",
        "the machine ran out of memory and has no swap",
        without_swap,
        (Setting(How.SWAP, "swap"),),
        "swap: cold anonymous memory moves out of the way",
        "slow under pressure; the end comes later, not never",
        measured="512M of swap: the main job's child is not killed (512M of memory)",
        causes=("processes", "shmem"),
    ),
    RemedyRow(
        "min-free",
        "the request was for several pages in one piece",
        _several_pages,
        (Setting(How.SYSCTL, "vm.min_free_kbytes"),),
        "vm.min_free_kbytes higher: more memory stays free, and in larger pieces",
        "memory that programs cannot use",
        measured="16M instead of 2M: 512 requests of 8 pages in one piece are met",
        causes=("fragmentation",),
    ),
    RemedyRow(
        "compaction",
        "the request was for several pages in one piece",
        _several_pages,
        (Setting(How.SYSCTL, "vm.compaction_proactiveness"),),
        "vm.compaction_proactiveness higher: memory is compacted before it is asked for",
        "CPU time",
    ),
    RemedyRow(
        "own-cgroup",
        "the machine ran out of memory and the task table names the largest holder",
        lambda event: _machine(event) and bool(_largest_of(event)),
        (Setting(How.CGROUP, "memory.max"),),
        "a cgroup with memory.max around {} (MemoryMax= in its unit): it runs out of memory alone",
        "it is killed or slowed at its own limit, even while memory is free elsewhere",
        _largest_of,
        measured="a limit of 64M: the report is the cgroup's, and what is killed is in it",
        causes=("processes", "page-tables"),
    ),
    RemedyRow(
        "released-huge-pages",
        "huge pages are set aside",
        lambda event: isinstance(event, OomEvent) and any(pool.total for pool in event.hugepages),
        (Setting(How.SYSCTL, "vm.nr_hugepages", "0"),),
        "fewer huge pages set aside (vm.nr_hugepages)",
        "programs that use them fail",
        measured="10 instead of 70 of them: a program of 90M ends",
        causes=("huge-pages",),
    ),
    RemedyRow(
        "huge-pages-for-shared",
        "page tables filled memory, and the tasks map the same pages many times",
        _mapped_many_times,
        (Setting(How.MOUNT, "hugetlb"),),
        "huge pages for the memory that many map (MFD_HUGETLB, SHM_HUGETLB, huge_pages=on in PostgreSQL): they need no "
        "page table each",
        "memory that is set aside for them and serves nothing else",
        measured="one huge page that is mapped 25,600 times: no report, and no page tables",
        causes=("page-tables",),
    ),
    RemedyRow(
        "pids.max",
        "stacks of threads filled memory",
        _machine,
        (Setting(How.LIMIT, "pids.max"),),
        "pids.max for the cgroup that starts them (TasksMax= in its unit): clone(2) fails with EAGAIN",
        "programs must cope with that",
        measured="pids.max=1000: the 1,000th thread is refused, and nobody is killed",
        causes=("kernel-stacks",),
    ),
    RemedyRow(
        "tmpfs-size",
        "files in tmpfs and shared memory filled memory",
        _machine,
        (Setting(How.MOUNT, "size"),),
        "if files in a tmpfs: a smaller size= for its mount; writes then fail with ENOSPC",
        "programs must cope with a full file system",
        measured="30 % of memory instead of 90 %: nobody is killed",
        causes=("shmem",),
    ),
    RemedyRow(
        "shmall",
        "files in tmpfs and shared memory filled memory",
        _machine,
        (Setting(How.SYSCTL, "kernel.shmall"),),
        "if System V segments (ipcs -m): a lower kernel.shmall; shmget(2) then fails with ENOSPC",
        "programs must cope with that",
        measured="64M: the next segment is refused, and nobody is killed",
        causes=("shmem",),
    ),
    RemedyRow(
        "tmpfs-for-ramfs",
        "files in ramfs filled memory",
        _machine,
        (Setting(How.MOUNT, "tmpfs"),),
        "if files in a ramfs, which has no limit: a tmpfs with size= in its place; writes then fail with ENOSPC",
        "programs must cope with a full file system",
        measured="30 % of memory: nobody is killed",
        causes=("unevictable",),
    ),
    RemedyRow(
        "less-cma",
        "what was free lies in CMA areas",
        _machine,
        (Setting(How.BOOT, "cma"),),
        "less memory in CMA areas (cma= on the kernel's command line, or the device tree)",
        "devices that need large pieces of memory may not get them",
        measured="none instead of 96M: 150M of messages are held",
        causes=("cma",),
    ),
    RemedyRow(
        "less-movable",
        "what was free lies in zone Movable",
        _machine,
        (Setting(How.BOOT, "movablecore"), Setting(How.BOOT, "kernelcore"), Setting(How.BOOT, "movable_node")),
        "a smaller zone Movable (less movablecore= or more kernelcore= on the kernel's command line, no movable_node)",
        "less memory that can be unplugged or given to huge pages",
        measured="no movablecore= instead of 300M: 200M of messages are held",
        causes=("movable-zone",),
    ),
    RemedyRow(
        "overcommit-2",
        "the machine ran out of memory",
        _oom,
        (Setting(How.SYSCTL, "vm.overcommit_memory", "2"),),
        "vm.overcommit_memory=2 with a fitting vm.overcommit_ratio: the promise is refused instead of broken",
        "fork and mmap fail with ENOMEM while memory is still free; programs must cope",
        measured="the main job's fork is refused, nobody is killed",
        causes=("processes",),
    ),
    RemedyRow(
        "user-space-killer",
        "the machine ran out of memory",
        _machine,
        (Setting(How.SERVICE, "earlyoom"), Setting(How.SERVICE, "systemd-oomd")),
        "earlyoom: ends the largest program by SIGTERM while some memory is still available",
        "kills earlier, by its own rules",
        measured="at 10 % available: the program that grows ends by SIGTERM, and the kernel kills nobody",
        causes=("processes",),
    ),
    RemedyRow(
        "more-memory",
        "the machine ran out of memory",
        _oom,
        (Setting(How.SIZE, "memory"),),
        "more memory, or less work on this machine",
        "money, or another machine",
        measured="1G instead of 512M: the main job's child is not killed",
        causes=("processes", "shmem", "small-machine"),
    ),
    RemedyRow(
        "oom-score",
        "the kernel killed a task that should have been spared",
        _killed,
        (Setting(How.SCORE, "oom_score_adj"),),
        "oom_score_adj lower for {}",
        "memory is as short as before: another process dies, or, with -1000 for all, the kernel panics",
        _score_of,
        measured="-500 for the hog: another is killed in its place",
        causes=("processes", "cgroup-memory"),
    ),
    RemedyRow(
        "zram",
        "the machine ran out of memory and has no swap",
        without_swap,
        (Setting(How.ZRAM, "zram"),),
        "compressed swap in memory (zram)",
        "CPU time; memory that does not compress is held twice",
        causes=("processes", "shmem"),
    ),
    RemedyRow(
        "smaller-processes",
        "the machine or the cgroup ran out of memory",
        _oom,
        (Setting(How.PARAMETER, "size"),),
        "processes that hold less",
        "what they did with the memory",
        causes=("processes", "cgroup-memory", "cgroup", "shmem"),
    ),
    RemedyRow(
        "watermarks",
        "the machine ran out of memory",
        _machine,
        (Setting(How.SYSCTL, "vm.min_free_kbytes"), Setting(How.SYSCTL, "vm.watermark_scale_factor")),
        "vm.min_free_kbytes or vm.watermark_scale_factor higher: reclaim begins earlier",
        "memory that programs cannot use",
    ),
    RemedyRow(
        "swappiness",
        "the machine has swap",
        lambda event: _machine(event) and not without_swap(event),
        (Setting(How.SYSCTL, "vm.swappiness", "100"), Setting(How.SYSCTL, "vm.swappiness", "0")),
        "vm.swappiness higher or lower",
        "another share of page cache and anonymous memory in RAM",
    ),
    RemedyRow(
        "no-huge-pages",
        "the machine or the cgroup ran out of memory",
        lambda event: isinstance(event, OomEvent) and event.scope != "sysrq",
        (Setting(How.FILE, "/sys/kernel/mm/transparent_hugepage/enabled", "never"),),
        "transparent huge pages never",
        "more page faults and TLB misses",
    ),
    RemedyRow(
        "multi-gen-lru",
        "the machine or the cgroup ran out of memory",
        lambda event: isinstance(event, OomEvent) and event.scope != "sysrq",
        (
            Setting(How.FILE, "/sys/kernel/mm/lru_gen/enabled", "7"),
            Setting(How.FILE, "/sys/kernel/mm/lru_gen/min_ttl_ms", "1000"),
        ),
        "the multi-gen LRU, and a working set that it protects for a time",
        "kills earlier when the working set does not fit",
    ),
    RemedyRow(
        "kill-allocating-task",
        "the machine ran out of memory",
        _machine,
        (Setting(How.SYSCTL, "vm.oom_kill_allocating_task", "1"),),
        "vm.oom_kill_allocating_task=1: who asks last is killed",
        "whoever happens to ask is killed, whatever it holds",
    ),
    RemedyRow(
        "panic-on-oom",
        "the machine ran out of memory",
        _machine,
        (Setting(How.SYSCTL, "vm.panic_on_oom", "1"),),
        "vm.panic_on_oom=1 with kernel.panic: the machine starts again",
        "everything on the machine is lost",
    ),
    RemedyRow(
        "overcommit-ratio",
        "the kernel refused a commitment",
        _refused,
        (Setting(How.SYSCTL, "vm.overcommit_ratio"), Setting(How.SYSCTL, "vm.overcommit_kbytes")),
        "vm.overcommit_ratio or vm.overcommit_kbytes higher",
        "more is promised than RAM and swap can keep",
        measured="a ratio of 200: the fork is not refused",
    ),
    RemedyRow(
        "overcommit-0",
        "the kernel refused a commitment",
        _refused,
        (Setting(How.SYSCTL, "vm.overcommit_memory", "0"), Setting(How.SYSCTL, "vm.overcommit_memory", "1")),
        "vm.overcommit_memory=0 or 1",
        "promises may be broken later, by the OOM killer",
        measured="0 and 1: the fork is not refused",
    ),
    RemedyRow(
        "spawn-without-fork",
        "the kernel refused a commitment",
        _refused,
        (Setting(How.SPAWN, "method", "posix_spawn"), Setting(How.SPAWN, "method", "vfork")),
        "posix_spawn or vfork where a program forks to start another one: the child is promised no memory",
        "not for programs that go on in the child",
    ),
    RemedyRow(
        "dont-fork",
        "the kernel refused a commitment",
        _refused,
        (Setting(How.MADVISE, "advise", "dontfork"),),
        "MADV_DONTFORK for memory that the child does not need",
        "the child dies of SIGSEGV where it reads that memory",
    ),
    RemedyRow(
        "swap-for-commitments",
        "the kernel refused a commitment",
        _refused,
        (Setting(How.SWAP, "swap"),),
        "swap: it counts towards CommitLimit",
        "disk space",
        measured="1G of swap: the fork is not refused",
    ),
)
