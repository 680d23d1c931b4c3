# SPDX-License-Identifier: MIT
"""Find why memory ran out: one sentence with its figures, and how certain it is.

Each rule looks for one cause and returns it with the figures that prove it, or None. The first rule that finds a cause
wins. Rules about limits on the request come first, then rules about memory that no process holds, then processes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from rig.klog.explain.explanation import Sentence
from rig.klog.explain.usable import (
    allowed_nodes,
    held_back,
    measured,
    reserved_kb,
    usable_blocks,
    usable_zones,
    zone_limit,
)  # fmt: skip
from rig.klog.explain.words import count, size
from rig.klog.functions import part_of
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import CgroupUsage

__all__ = ["Cause", "Certainty", "cause_of", "limit_that_was_hit", "managed_kb", "unaccounted_kb"]

_MOST = 0.5  # a share of memory that counts as most of it
_MUCH = 0.25  # a share of memory that alone can explain a shortage


class Certainty(StrEnum):
    """How certain a cause is.

    CERTAIN: the figures prove it.
    LIKELY: the figures agree with it.
    UNSURE: the report holds too few figures.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why memory ran out.

    name: a stable identifier, the same for the same cause.
    certainty: how far the figures prove it.
    sentence: what happened, with the figures and the lines that prove them.
    """

    name: str
    certainty: Certainty
    sentence: Sentence


def cause_of(event: OomEvent) -> Cause:
    """Return the cause that the report's figures show; `unknown` where they show none."""
    for rule in _RULES:
        cause = rule(event)
        if cause is not None:
            return cause
    return _found("unknown", Certainty.UNSURE, "The log does not hold the figures that would show what filled memory.")


def _found(name: str, certainty: Certainty, text: str, *lines: int) -> Cause:
    return Cause(name, certainty, Sentence(text, lines))


def managed_kb(event: OomEvent) -> int:
    """Return the memory that the kernel manages, in kB; 0 where the report does not show it."""
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved", 0)
    if ram is not None:
        return max(ram - reserved, 0) * event.page_kb
    if event.scope in ("cpuset", "mempolicy"):
        return 0  # the report omits the zones of the other nodes
    return sum(zone.values.get("managed", zone.values.get("present", 0)) for zone in event.zones)


# The counters of Mem-Info that do not overlap. mapped, shmem and dirty are left out: their pages are on the LRU lists.
_COUNTED = (
    "active_anon", "inactive_anon", "isolated_anon", "active_file", "inactive_file", "isolated_file", "unevictable",
    "slab_reclaimable", "slab_unreclaimable", "pagetables", "sec_pagetables", "kernel_misc_reclaimable", "bounce",
    "free", "free_pcp",
)  # fmt: skip
_NEEDED = ("free", "active_anon", "inactive_anon", "active_file", "inactive_file", "slab_unreclaimable", "pagetables")


def unaccounted_kb(event: OomEvent) -> int:
    """Return the memory that is in no counter of the report (drivers' pages, per-CPU data, a balloon), in kB.

    0 where the report lacks one of the counters, because its memory would be mistaken for uncounted memory.
    """
    info, kb = event.mem_info, event.page_kb
    ram, reserved = event.totals.get("pages_ram"), event.totals.get("pages_reserved")
    if ram is None or reserved is None or any(key not in info for key in _NEEDED):
        return 0
    counted = sum(info.get(key, 0) for key in _COUNTED) * kb
    counted += sum(node.values.get("kernel_stack", 0) for node in event.nodes)
    counted += sum(pool.total * pool.size_kb for pool in event.hugepages)
    return (ram - reserved) * kb - counted


def limit_that_was_hit(event: OomEvent) -> CgroupUsage | None:
    """Return the counter that reached its limit, or None without a limited counter.

    Of several counters, one with failed charges comes first, then the fullest.
    """
    limited = [usage for usage in event.cgroup if usage.limit_kb is not None and usage.name != "swap"]
    full = [usage for usage in limited if usage.usage_kb * 100 >= (usage.limit_kb or 0) * 99]
    return max(
        full or limited,
        key=lambda usage: (usage.failcnt > 0, usage.usage_kb / max(usage.limit_kb or 1, 1)),
        default=None,
    )


def _by_hand(event: OomEvent) -> Cause | None:
    if event.scope != "sysrq":
        return None
    text = "Memory had not run out: somebody invoked the OOM killer by hand (SysRq f)."
    return Cause("sysrq", Certainty.CERTAIN, Sentence(text, (event.line,)))


def _page_fault_path(event: OomEvent) -> Cause | None:
    """Return the cause of a request with gfp_mask 0.

    pagefault_out_of_memory() (mm/oom_kill.c) makes up this request after a fault handler returned VM_FAULT_OOM.
    """
    if event.gfp_mask != 0 or event.scope == "memcg":
        return None
    free = sum(zone.free for zone in measured(event))
    rest = f" {size(free)} were free." if free else ""
    text = (
        "No request for memory failed here: a page fault handler reported that memory had run out (gfp_mask 0). "
        f"Most often a cgroup's limit refused the charge.{rest}"
    )
    return Cause("page-fault-path", Certainty.LIKELY, Sentence(text, (event.line,)))


def _cgroup_limit(event: OomEvent) -> Cause | None:
    if event.scope != "memcg":
        return None
    hit = limit_that_was_hit(event)
    path = event.oom_memcg or event.cgroup_path or "of the task"
    if hit is None or hit.limit_kb is None:
        text = f"The cgroup {path} reached its memory limit; the report does not tell which, nor how large it is."
        return Cause("cgroup", Certainty.LIKELY, Sentence(text, (event.line,)))
    names = {"memory": "memory", "kmem": "kernel memory (kmem)", "memory+swap": "memory and swap (memsw)"}
    times = f", which it had reached {count(hit.failcnt, 'time')}" if hit.failcnt else ""
    above = ""
    if event.task_memcg and event.oom_memcg and event.task_memcg != event.oom_memcg:
        above = f" The limit is that of an ancestor: the victim was in {event.task_memcg}."
    text = (
        f"The cgroup {path} reached its limit for {names.get(hit.name, hit.name)}: {size(hit.usage_kb)} of "
        f"{size(hit.limit_kb)}{times}. The machine itself need not lack memory.{above}"
    )
    name = {"kmem": "cgroup-kmem", "memory+swap": "cgroup-memsw"}.get(hit.name, "cgroup-memory")
    full = hit.usage_kb * 100 >= hit.limit_kb * 95
    return Cause(name, Certainty.CERTAIN if full else Certainty.UNSURE, Sentence(text, (hit.line,)))


def _nodes(event: OomEvent) -> Cause | None:
    nodes = allowed_nodes(event)
    if nodes is None:
        return None
    reserve = held_back(event)
    zones = [zone for zone in usable_zones(event) if zone.free <= zone.min + reserve(zone)]
    named = ", ".join(map(str, sorted(nodes)))
    which = f"node {named}" if len(nodes) == 1 else f"nodes {named}"
    what = "A memory policy bound" if event.scope == "mempolicy" else "A cpuset confined"
    free = sum(zone.free for zone in zones)
    low = sum(zone.min for zone in zones)
    text = f"{what} the request to {which}, and there memory had run out"
    text += f": {size(free)} free, at or below the min watermark of {size(low)}." if zones else "."
    here = sum(zone.free for zone in measured(event) if zone.node in nodes)
    elsewhere = event.mem_info.get("free", 0) * event.page_kb - here
    if elsewhere > max(free, 1024):
        text += f" {size(elsewhere)} were free on other nodes."
    lines = (*(zone.line for zone in zones), *((event.constraint_line,) if event.constraint_line else ()))
    return Cause(event.scope or "", Certainty.CERTAIN if zones else Certainty.LIKELY, Sentence(text, lines))


def _low_zone(event: OomEvent) -> Cause | None:
    limit = zone_limit(event)
    zones, reserve = usable_zones(event), held_back(event)
    if limit is None or not zones or any(zone.free > zone.min + reserve(zone) for zone in zones):
        return None
    theirs = {zone.line for zone in zones}
    others = sum(zone.free for zone in measured(event) if zone.line not in theirs)
    named = " and ".join(f"{zone.name} ({size(zone.free)} free, min {size(zone.min)})" for zone in zones)
    text = f"The request was bound to zone {limit} or a lower one (GFP_{limit}), and there memory had run out: {named}."
    if others:
        text += f" {size(others)} were free in the other zones, which it may not use."
    return Cause("low-zone", Certainty.CERTAIN, Sentence(text, (event.line, *(zone.line for zone in zones))))


def _movable_zone(event: OomEvent) -> Cause | None:
    """Return the cause where only zone Movable has memory left (movable_node, movablecore=, kernelcore=)."""
    zones, reserve = usable_zones(event), held_back(event)
    theirs = {zone.line for zone in zones}
    others = [
        zone for zone in measured(event) if zone.name == "Movable" and zone.line not in theirs and zone.free > zone.high
    ]
    if not zones or not others or any(zone.free > zone.min + reserve(zone) for zone in zones):
        return None
    named = " and ".join(f"{zone.name} ({size(zone.free)} free, min {size(zone.min)})" for zone in zones)
    text = (
        f"The request was for memory that cannot be moved, and the zones that hold such memory had run out: {named}. "
        f"{size(sum(zone.free for zone in others))} were free in zone Movable (movable_node, movablecore= or "
        "kernelcore=), which the kernel's own pages may not use."
    )
    lines = (event.line, *(zone.line for zone in (*zones, *others)))
    return Cause("movable-zone", Certainty.CERTAIN, Sentence(text, lines))


def _reserved(event: OomEvent) -> Cause | None:
    """Return the cause where the free memory is in CMA areas or in the highatomic reserve."""
    if (event.order or 0) > 0:
        return None
    reserve = held_back(event)
    for zone in usable_zones(event):
        cma, atomic = reserved_kb(event, zone)
        low = zone.min + reserve(zone)
        if cma + atomic >= 1024 and zone.free > low >= zone.free - cma - atomic:
            kinds = [f"{size(cma)} lie in CMA areas, which only movable pages may use"] if cma else []
            kinds += [f"{size(atomic)} are reserved for requests that cannot wait (highatomic)"] if atomic else []
            text = (
                f"Of the {size(zone.free)} free in zone {zone.name} of node {zone.node} {' and '.join(kinds)}: "
                f"{size(zone.free - cma - atomic)} are left for this request, at or below the min watermark of "
                f"{size(low)}."
            )
            return _found("cma" if cma >= atomic else "highatomic", Certainty.CERTAIN, text, event.line, zone.line)
    return None


def _fragmented(event: OomEvent) -> Cause | None:
    order = event.order or 0
    zones = [zone for zone in usable_zones(event) if zone.buddy and zone.free > zone.min]
    if order <= 0 or not zones:
        return None
    if any(usable_blocks(event, zone, order)[0] for zone in zones):
        return None
    wanted = size(event.page_kb << order)
    free = sum(zone.free for zone in zones)
    denied = sum(usable_blocks(event, zone, order)[1] for zone in zones)
    text = f"Memory was fragmented: {size(free)} were free, but no block of {wanted} in one piece (order {order})"
    if denied:
        text += f" that this request may use; the {count(denied, 'block')} of that size lie in CMA areas or reserves"
    return _found("fragmentation", Certainty.CERTAIN, text + ".", *(zone.buddy_line or zone.line for zone in zones))


def _share(name: str, kb: int, event: OomEvent, what: Callable[[str], str], line: int) -> Cause | None:
    """Return a cause for memory that no process holds, or None where it is too small to explain the shortage.

    It must be at least a quarter of the machine's memory, and at least what any process name holds in total.
    kb: its size.
    what: makes the sentence from the words for its share.
    line: the line that shows it.
    """
    whole = managed_kb(event)
    if not whole or kb < whole * _MUCH:
        return None
    if kb < max((held for _name, held, _n in _families(event)), default=0):
        return None
    certainty = Certainty.CERTAIN if kb >= whole * _MOST else Certainty.LIKELY
    return Cause(name, certainty, Sentence(what(f"{size(kb)} of {size(whole)}"), (line,)))


def _line(event: OomEvent, key: str) -> int:
    return event.mem_info_lines.get(key, event.line)


def _slab(event: OomEvent) -> Cause | None:
    kb = event.mem_info.get("slab_unreclaimable", 0) * event.page_kb
    cache = max(event.slabs, key=lambda row: row.total_kb, default=None)
    named = f" The largest cache is {cache.name} with {size(cache.total_kb)}." if cache is not None else ""
    return _share(
        "slab", kb, event, lambda figures: f"The kernel's own unreclaimable slabs filled memory: {figures}.{named}",
        _line(event, "slab_unreclaimable"),
    )  # fmt: skip


def _huge_pages(event: OomEvent) -> Cause | None:
    total = sum(pool.total * pool.size_kb for pool in event.hugepages)
    unused = sum(pool.free * pool.size_kb for pool in event.hugepages)
    use = "none of it is in use" if unused == total else f"{size(unused)} of it are unused"
    return _share(
        "huge-pages", total, event, lambda figures: f"Memory is set aside for huge pages (hugetlb): {figures}; {use}.",
        event.hugepages[0].line if event.hugepages else event.line,
    )  # fmt: skip


def _shmem(event: OomEvent) -> Cause | None:
    kb = event.mem_info.get("shmem", 0) * event.page_kb
    return _share(
        "shmem", kb, event, lambda figures: f"Files in tmpfs and shared memory filled memory: {figures}.",
        _line(event, "shmem"),
    )  # fmt: skip


def _page_tables(event: OomEvent) -> Cause | None:
    kb = event.mem_info.get("pagetables", 0) * event.page_kb
    return _share(
        "page-tables", kb, event, lambda figures: f"Page tables filled memory: {figures}.", _line(event, "pagetables")
    )


def _uncounted(event: OomEvent) -> Cause | None:
    return _share(
        "uncounted",
        unaccounted_kb(event),
        event,
        lambda figures: f"Memory is in no counter of the report (drivers, a leak, a balloon): {figures}.",
        event.totals_lines.get("pages_ram", event.line),
    )


def _families(event: OomEvent) -> list[tuple[str, int, int]]:
    """Return (name, kB in memory and swap, processes) for each name of a task, largest first.

    The table has one row for each process. Pages that forks share are counted once for each of them.
    """
    pages: dict[str, int] = defaultdict(int)
    for row in event.tasks:
        pages[row.name] += row.rss + (row.swapents or 0)
    counts = Counter(row.name for row in event.tasks)
    found = [(name, count * event.page_kb, counts[name]) for name, count in pages.items()]
    return sorted(found, key=lambda entry: entry[1], reverse=True)


def _small_machine(event: OomEvent) -> Cause | None:
    whole = managed_kb(event)
    if not whole or whole >= 64 * 1024:
        return None
    boot = f" {event.time:.0f} s after boot" if event.time is not None and event.time < 60 else ""
    text = f"The machine has only {size(whole)} of memory, and ran out of it{boot}."
    return Cause("small-machine", Certainty.LIKELY, Sentence(text, (event.totals_lines.get("pages_ram", event.line),)))


def _processes(event: OomEvent) -> Cause | None:
    families = _families(event)
    whole = managed_kb(event)
    if not families or families[0][1] < 1024:
        return None
    name, kb, number = families[0]
    swap = event.totals.get("total_swap_kb", 0)
    room = whole + swap
    who = f"{number} processes named {name} hold {size(kb)} together" if number > 1 else f"{name} holds {size(kb)}"
    everyone = sum(entry[1] for entry in families)
    lines = tuple(row.line for row in event.tasks if row.name == name)[:8]
    if not room:
        return _found("processes", Certainty.UNSURE, f"Of the tasks in the table the largest is {name}: {who}.", *lines)
    anon = sum(event.mem_info.get(key, 0) for key in ("active_anon", "inactive_anon")) * event.page_kb
    if anon >= whole * _MOST and everyone < anon * _MOST:
        text = (
            f"Programs' own memory filled the machine: {size(anon)} of {size(whole)}. The task table shows only "
            f"{size(everyone)} of it; the largest there: {who}."
        )
        return _found("processes", Certainty.LIKELY, text, _line(event, "active_anon"), *lines)
    share = min(everyone, room) / room
    if share < 0.4:
        text = (
            f"The processes hold {size(everyone)} of {size(room)} alone; what filled the rest the report does not "
            f"show. The largest: {who}."
        )
        return _found("processes", Certainty.UNSURE, text, *lines)
    none = ", and there is no swap" if "total_swap_kb" in event.totals else ""
    rest = f" and {size(swap)} of swap" if swap else none
    text = f"The processes filled memory: {who} of {size(whole)}{rest}."
    sure = share >= 0.6 and kb >= room * 0.2
    return _found("processes", Certainty.CERTAIN if sure else Certainty.LIKELY, text, *lines)


def _beginning_missing(event: OomEvent) -> Cause | None:
    called = any(part_of(frame.function) == "oom" for frame in event.trace.frames)
    if event.kind is not Kind.OOM or event.invoker is not None or not (called or event.kills):
        return None
    text = "The OOM killer was called; the part of the report that would show why is missing."
    return Cause("missing", Certainty.UNSURE, Sentence(text, (event.line,)))


_RULES: tuple[Callable[[OomEvent], Cause | None], ...] = (
    _by_hand, _cgroup_limit, _page_fault_path, _nodes, _low_zone, _movable_zone, _reserved, _fragmented,
    _small_machine, _huge_pages, _slab, _shmem, _page_tables, _uncounted, _processes, _beginning_missing,
)  # fmt: skip
