# SPDX-License-Identifier: MIT
"""What would have changed it, and what each costs."""

from __future__ import annotations

from rig.klog.explain.explanation import Remedy
from rig.klog.explain.victim import ranking
from rig.klog.explain.words import size
from rig.klog.oom.oom_event import OomEvent

__all__ = ["remedies"]


def remedies(event: OomEvent) -> tuple[Remedy, ...]:
    """Return the remedies that fit this report, the most fitting first."""
    if event.scope == "sysrq":
        return (
            Remedy(
                "kernel.sysrq without bit 64 (signalling of processes): SysRq f does nothing",
                "no way to free a stuck machine by hand",
            ),
        )
    found = _cgroup(event) if event.scope == "memcg" else _machine(event)
    kill = event.victim
    if kill is not None:
        found.append(
            Remedy(
                f"oom_score_adj lower for {kill.comm} (OOMScoreAdjust= in its unit): {_spared(event)}",
                "memory is as short as before: another process dies, or, with -1000 for all, the kernel panics",
            )
        )
    if event.scope in ("cpuset", "mempolicy"):
        found.insert(
            0,
            Remedy(
                "a wider cpuset.mems or a memory policy that prefers instead of binds",
                "slower access to memory of other nodes",
            ),
        )
    return tuple(found)


def _spared(event: OomEvent) -> str:
    """How far down the victim would have had to go for the next to be chosen."""
    ranked = ranking(event)
    kill = event.victim
    if len(ranked) == 1:
        return "with -1000 nobody would have been left to kill"
    if len(ranked) < 2 or event.totalpages is None or kill is None or ranked[0][1].pid != kill.pid:
        return "another would have been chosen"
    step = max(event.totalpages // 1000, 1)
    needed = (ranked[0][0] - ranked[1][0]) // step + 1
    adj = (ranked[0][1].oom_score_adj or 0) - needed
    if adj < -999:
        return f"nothing short of -1000 would have put {ranked[1][1].name} before it"
    return f"at {adj} or below, {ranked[1][1].name} (pid {ranked[1][1].pid}) would have died instead"


def _cgroup(event: OomEvent) -> list[Remedy]:
    memory = next((usage for usage in event.cgroup if usage.name == "memory"), None)
    swap = next((usage for usage in event.cgroup if usage.name == "swap"), None)
    found = []
    if memory is not None and memory.limit_kb is not None:
        found.append(
            Remedy(
                f"a higher limit than {size(memory.limit_kb)} for {event.oom_memcg} (memory.max; in a "
                f"container the "
                "memory limit)",
                "the machine must have it to spare, or the next report is a global one",
            )
        )
    found.append(
        Remedy(
            "memory.high below memory.max: the cgroup is slowed and reclaimed before it is killed",
            "it may crawl for long before anybody notices",
        )
    )
    if swap is not None and swap.limit_kb == 0:
        found.append(Remedy("swap for the cgroup (memory.swap.max)", "what is swapped answers slowly"))
    if not event.oom_group:
        found.append(
            Remedy(
                "memory.oom.group=1: the whole cgroup is killed and restarts clean",
                "innocent processes of the cgroup die as well",
            )
        )
    return found


def _machine(event: OomEvent) -> list[Remedy]:
    found = []
    if event.totals.get("total_swap_kb") == 0:
        found.append(
            Remedy(
                "swap, or zram: cold anonymous memory moves out of the way",
                "slow under pressure; the end comes later, not never",
            )
        )
    if (event.order or 0) > 0:
        found.append(
            Remedy("vm.min_free_kbytes higher, vm.compaction_proactiveness higher, or huge pages set "
                "aside at boot",
                   "memory that programs cannot use; processor time for compaction")
        )  # fmt: skip
    ranked = sorted(event.tasks, key=lambda row: row.rss, reverse=True)
    if ranked:
        hog = ranked[0]
        found.append(
            Remedy(
                f"a cgroup with memory.max around the largest holder, {hog.name} (MemoryMax= in its unit)",
                f"{hog.name} is killed or slowed at its own limit, even while memory is free elsewhere",
            )
        )
    found.append(
        Remedy(
            "vm.overcommit_memory=2 with a fitting vm.overcommit_ratio: the promise is refused instead of broken",
            "fork and mmap fail with ENOMEM while memory is still free; programs must cope",
        )
    )
    found.append(
        Remedy(
            "a user-space killer (systemd-oomd, earlyoom): acts on pressure, before the machine stands still",
            "kills earlier, by its own rules",
        )
    )
    found.append(Remedy("more memory, or less work on this machine", "money, or another machine"))
    return found
