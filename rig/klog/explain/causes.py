# SPDX-License-Identifier: MIT
"""Find why memory ran out: one sentence with its figures, and how certain it is.

Each rule looks for one cause and returns it with the figures that prove it, or None. The first rule that finds a cause
wins. Rules about limits on the request come first, then rules about memory that no process holds, then processes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from rig.klog.explain.bounds import fragmented, low_zone, nodes, reserved, unmovable
from rig.klog.explain.cause import Cause, Certainty, found
from rig.klog.explain.explanation import Sentence
from rig.klog.explain.usable import measured
from rig.klog.explain.words import count, size
from rig.klog.functions import part_of
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import CgroupUsage

__all__ = ["cause_of", "limit_that_was_hit", "managed_kb", "unaccounted_kb"]

_MOST = 0.5  # a share of memory that counts as most of it
_MUCH = 0.25  # a share of memory that alone can explain a shortage


def cause_of(event: OomEvent) -> Cause:
    """Return the cause that the report's figures show; `unknown` where they show none."""
    for rule in _RULES:
        cause = rule(event)
        if cause is not None:
            return cause
    return found("unknown", Certainty.UNSURE, "The log does not hold the figures that would show what filled memory.")


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


def _kernel_stacks(event: OomEvent) -> Cause | None:
    kb = sum(node.values.get("kernel_stack", 0) for node in event.nodes)
    tasks = f" The task table has {count(len(event.tasks), 'process', 'processes')}." if event.tasks else ""
    return _share(
        "kernel-stacks", kb, event,
        lambda figures: f"The kernel's stacks of threads and processes filled memory: {figures}.{tasks}",
        event.nodes[0].line if event.nodes else event.line,
    )  # fmt: skip


def _unevictable(event: OomEvent) -> Cause | None:
    """Return the cause for unevictable pages that no process maps.

    What processes hold is subtracted, since their locked memory is unevictable too.
    """
    kb = event.mem_info.get("unevictable", 0) * event.page_kb - sum(row.rss for row in event.tasks) * event.page_kb
    return _share(
        "unevictable", kb, event,
        lambda figures: "Memory that cannot be reclaimed and that no process maps (files in ramfs, locked shared "
        f"memory) filled the machine: {figures}.",
        _line(event, "unevictable"),
    )  # fmt: skip


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
    held = [(name, number * event.page_kb, counts[name]) for name, number in pages.items()]
    return sorted(held, key=lambda entry: entry[1], reverse=True)


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
        return found("processes", Certainty.UNSURE, f"Of the tasks in the table the largest is {name}: {who}.", *lines)
    anon = sum(event.mem_info.get(key, 0) for key in ("active_anon", "inactive_anon")) * event.page_kb
    if anon >= whole * _MOST and everyone < anon * _MOST:
        text = (
            f"Programs' own memory filled the machine: {size(anon)} of {size(whole)}. The task table shows only "
            f"{size(everyone)} of it; the largest there: {who}."
        )
        return found("processes", Certainty.LIKELY, text, _line(event, "active_anon"), *lines)
    share = min(everyone, room) / room
    if share < 0.4:
        text = (
            f"The processes hold {size(everyone)} of {size(room)} alone; what filled the rest the report does not "
            f"show. The largest: {who}."
        )
        return found("processes", Certainty.UNSURE, text, *lines)
    none = ", and there is no swap" if "total_swap_kb" in event.totals else ""
    rest = f" and {size(swap)} of swap" if swap else none
    text = f"The processes filled memory: {who} of {size(whole)}{rest}."
    sure = share >= 0.6 and kb >= room * 0.2
    return found("processes", Certainty.CERTAIN if sure else Certainty.LIKELY, text, *lines)


def _beginning_missing(event: OomEvent) -> Cause | None:
    called = any(part_of(frame.function) == "oom" for frame in event.trace.frames)
    if event.kind is not Kind.OOM or event.invoker is not None or not (called or event.kills):
        return None
    text = "The OOM killer was called; the part of the report that would show why is missing."
    return Cause("missing", Certainty.UNSURE, Sentence(text, (event.line,)))


_RULES: tuple[Callable[[OomEvent], Cause | None], ...] = (
    _by_hand, _cgroup_limit, _page_fault_path, nodes, low_zone, unmovable, reserved, fragmented,
    _small_machine, _huge_pages, _slab, _shmem, _unevictable, _page_tables, _kernel_stacks, _uncounted, _processes,
    _beginning_missing,
)  # fmt: skip
