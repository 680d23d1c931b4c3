# SPDX-License-Identifier: MIT
"""The fingerprint of an OOM report: what a run must have in common with it to be the same failure.

The same function reads the report from production and the console of the run.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.klog import OomEvent
from rig.klog.explain.amounts import limit_that_was_hit, managed_kb, unaccounted_kb
from rig.klog.explain.asked import purpose
from rig.klog.explain.usable import zone_limit
from rig.klog.oom.badness import page_table_pages, root_bonus
from rig.klog.oom.gfp import decode
from rig.klog.oom.parts import TaskRow

__all__ = ["KINDS", "Fingerprint", "Holder", "Limit", "fingerprint_of"]

KINDS = {
    "anonymous": "anonymous memory",
    "shmem": "shared memory and tmpfs",
    "cache": "page cache",
    "unevictable": "locked or unevictable",
    "huge pages": "huge pages set aside",
    "slab": "slab, unreclaimable",
    "reclaimable slab": "slab, reclaimable",
    "page tables": "page tables",
    "uncounted": "in no counter",
}
"""Kinds of memory that do not overlap, with their names for a user."""


@dataclass(frozen=True)
class Holder:
    """A task of the table. Sizes in kB.

    points: badness in pages; None for a task that is never chosen.
    file_kb, shmem_kb: None where the kernel does not print them (before 6.8).
    """

    comm: str
    pid: int
    uid: int | None
    adj: int
    points: int | None
    rss_kb: int
    swap_kb: int
    tables_kb: int
    file_kb: int | None
    shmem_kb: int | None
    vm_kb: int

    @property
    def held_kb(self) -> int:
        return self.rss_kb + self.swap_kb


@dataclass(frozen=True)
class Limit:
    """A cgroup's limit that was reached.

    owner: path of the cgroup.
    task: path of the victim's cgroup.
    counter: `memory`, `memory+swap` or `kmem`; the last two exist in cgroup v1 alone.
    swap_kb: the swap that the cgroup may use beyond its memory; None for no limit.
    """

    owner: str
    task: str
    counter: str
    limit_kb: int
    usage_kb: int
    swap_kb: int | None
    swap_used_kb: int
    v1: bool


@dataclass(frozen=True)
class Fingerprint:
    """What identifies a failure. Sizes in kB; None, or a missing key of `kinds`, where the report does not show it.

    scope: `global`, `memcg`, `cpuset`, `mempolicy` or `sysrq`.
    path: why memory was requested, a key of PURPOSES in rig/klog/functions.py, or `zero-page` or `fault`.
    request: `user`, `kernel`, `nofs`, `noio`, `atomic` or `none`, by the gfp flags.
    total_kb: the memory that ran out: the machine's, or the cgroup's limit.
    min_kb: the min watermarks of all zones.
    holders: the tasks, worst first; those that are never chosen last.
    bonus: what the kernel subtracts from the badness of root's tasks (root_bonus() in rig/klog/oom/badness.py).
    """

    scope: str | None
    limit: Limit | None
    order: int | None
    zone: str | None
    path: str
    request: str
    total_kb: int
    min_kb: int
    kinds: dict[str, int]
    mapped_kb: int
    swap_total_kb: int | None
    swap_free_kb: int | None
    holders: tuple[Holder, ...]
    invoker: str | None
    invoker_pid: int | None
    invoker_adj: int
    victim: str | None
    victim_pid: int | None
    killed: int
    group: bool
    bonus: str

    @property
    def ranking(self) -> tuple[Holder, ...]:
        """The tasks that may be chosen, worst first."""
        return tuple(holder for holder in self.holders if holder.points is not None)


def fingerprint_of(event: OomEvent) -> Fingerprint:
    """Return the fingerprint of a report. It needs no part of it: what is missing stays empty."""
    limit = _limit(event)
    path, _ = purpose(event)
    invoker = event.invoker
    victim = event.victim
    return Fingerprint(
        scope=event.scope,
        limit=limit,
        order=event.order if event.scope != "sysrq" else None,
        zone=zone_limit(event),
        path="sysrq" if event.scope == "sysrq" else path,
        request=_request(event),
        total_kb=_total(event, limit),
        min_kb=sum(zone.min for zone in event.zones),
        kinds=_of_cgroup(event) if event.scope == "memcg" else _of_machine(event),
        mapped_kb=event.mem_info.get("mapped", 0) * event.page_kb or event.cgroup_stats.get("file_mapped", 0) // 1024,
        swap_total_kb=event.totals.get("total_swap_kb"),
        swap_free_kb=event.totals.get("free_swap_kb"),
        holders=_holders(event),
        invoker=invoker.comm if invoker else None,
        invoker_pid=invoker.pid if invoker else None,
        invoker_adj=event.oom_score_adj or 0,
        victim=victim.comm if victim else None,
        victim_pid=victim.pid if victim else None,
        killed=len(event.kills),
        group=event.oom_group,
        bonus=root_bonus(event.kernel),
    )


def _total(event: OomEvent, limit: Limit | None) -> int:
    if limit is None:
        return managed_kb(event)
    memory = next((usage for usage in event.cgroup if usage.name == "memory"), None)
    # What a limit of kernel memory bounds is a part of the cgroup's memory.
    return memory.usage_kb if limit.counter == "kmem" and memory is not None else limit.limit_kb


def _request(event: OomEvent) -> str:
    if event.gfp_mask == 0:
        return "none"
    flags = set(event.gfp_flags) or set(decode(event.gfp_mask or 0, event.kernel) or ())
    named = {flag.removeprefix("__").removeprefix("GFP_") for flag in flags}
    for name in ("HIGHUSER_MOVABLE", "HIGHUSER", "TRANSHUGE", "TRANSHUGE_LIGHT", "USER"):
        if name in named:
            return "user"
    for name in ("ATOMIC", "NOWAIT", "NOFS", "NOIO"):
        if name in named:
            return name.lower()
    return "kernel" if any(name.startswith("KERNEL") for name in named) else ""


def _limit(event: OomEvent) -> Limit | None:
    hit = limit_that_was_hit(event) if event.scope == "memcg" else None
    if hit is None or hit.limit_kb is None:
        return None
    counters = {usage.name: usage for usage in event.cgroup}
    memory, both, swap = counters.get("memory"), counters.get("memory+swap"), counters.get("swap")
    v1 = both is not None or "kmem" in counters
    room, used = None, 0
    if swap is not None:
        room, used = swap.limit_kb, swap.usage_kb
    elif both is not None and memory is not None:
        used = max(both.usage_kb - memory.usage_kb, 0)
        # memory.memsw.limit_in_bytes bounds memory and swap together.
        room = None if both.limit_kb is None else max(both.limit_kb - (memory.limit_kb or both.limit_kb), 0)
    owner = event.oom_memcg or event.cgroup_path or ""
    return Limit(owner, event.task_memcg or owner, hit.name, hit.limit_kb, hit.usage_kb, room, used, v1)


def _of_machine(event: OomEvent) -> dict[str, int]:
    info, kb = event.mem_info, event.page_kb
    if not info:
        return {}

    def total(*keys: str) -> int | None:
        return sum(info[key] for key in keys if key in info) * kb if any(key in info for key in keys) else None

    shmem = total("shmem")
    lru = total("active_anon", "inactive_anon", "isolated_anon")
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved")
    whole = (
        ram is not None and reserved is not None and {"active_file", "slab_unreclaimable", "pagetables"} <= set(info)
    )
    found = {
        # Pages of shared memory are on the LRU lists of anonymous memory (shmem_add_to_page_cache(), mm/shmem.c).
        "anonymous": None if lru is None else max(lru - (shmem or 0), 0),
        "shmem": shmem,
        "cache": total("active_file", "inactive_file", "isolated_file"),
        "unevictable": total("unevictable"),
        "huge pages": sum(pool.total * pool.size_kb for pool in event.hugepages) if event.hugepages else None,
        "slab": total("slab_unreclaimable"),
        "reclaimable slab": total("slab_reclaimable"),
        "page tables": total("pagetables", "sec_pagetables"),
        "uncounted": max(unaccounted_kb(event), 0) if whole else None,
    }
    return {name: size for name, size in found.items() if size is not None}


def _of_cgroup(event: OomEvent) -> dict[str, int]:
    stats = {name: value // 1024 for name, value in event.cgroup_stats.items()}
    if not stats:
        return {}
    shmem = stats.get("shmem", 0)
    v1 = "rss" in stats and "anon" not in stats
    found = {
        "anonymous": stats.get("rss" if v1 else "anon", 0),
        "shmem": shmem,
        "cache": max(stats.get("cache" if v1 else "file", 0) - shmem, 0),
        "unevictable": stats.get("unevictable", 0),
        "slab": stats.get("slab_unreclaimable", 0),
        "reclaimable slab": stats.get("slab_reclaimable", 0),
        "page tables": stats.get("pagetables", 0),
    }
    usage = next((counter.usage_kb for counter in event.cgroup if counter.name == "memory"), 0)
    known = found["anonymous"] + found["shmem"] + found["cache"]
    if v1:
        kmem = next((counter.usage_kb for counter in event.cgroup if counter.name == "kmem"), 0)
        found["slab"] = kmem
        return found
    kernel = stats.get("kernel_stack", 0) + stats.get("percpu", 0) + stats.get("sock", 0)
    known += found["slab"] + found["reclaimable slab"] + found["page tables"] + kernel
    found["uncounted"] = max(usage - known, 0)
    return found


def _holders(event: OomEvent) -> tuple[Holder, ...]:
    kb = event.page_kb
    holders = [_holder(event, row) for row in event.tasks]
    if not holders:
        # Without a task table the lines of the kills still tell what was killed.
        holders = [
            Holder(
                comm=kill.comm, pid=kill.pid, uid=kill.uid, adj=kill.oom_score_adj or 0,
                points=((kill.anon_rss_kb or 0) + (kill.file_rss_kb or 0) + (kill.shmem_rss_kb or 0)) // kb,
                rss_kb=(kill.anon_rss_kb or 0) + (kill.file_rss_kb or 0) + (kill.shmem_rss_kb or 0),
                swap_kb=0, tables_kb=kill.pgtables_kb or 0, file_kb=kill.file_rss_kb, shmem_kb=kill.shmem_rss_kb,
                vm_kb=kill.total_vm_kb or 0,
            )
            for kill in event.kills
        ]  # fmt: skip
    return tuple(
        sorted(holders, key=lambda holder: (holder.points is None, -(holder.points or 0), -holder.held_kb, holder.pid))
    )


def _holder(event: OomEvent, row: TaskRow) -> Holder:
    kb = event.page_kb
    points = event.badness(row)
    if points is None and row.oom_score_adj != -1000:
        # The report lacks what oom_score_adj is a share of; without it the sizes rank.
        points = row.rss + (row.swapents or 0) + page_table_pages(row, kb)
    return Holder(
        comm=row.name,
        pid=row.pid,
        uid=row.uid,
        adj=row.oom_score_adj or 0,
        points=points,
        rss_kb=row.rss * kb,
        swap_kb=(row.swapents or 0) * kb,
        tables_kb=page_table_pages(row, kb) * kb,
        file_kb=None if row.rss_file is None else row.rss_file * kb,
        shmem_kb=None if row.rss_shmem is None else row.rss_shmem * kb,
        vm_kb=row.total_vm * kb,
    )
