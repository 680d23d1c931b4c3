# SPDX-License-Identifier: MIT
"""The cause where memory that no process holds filled the machine: the largest of what the report counts."""

from __future__ import annotations

from dataclasses import dataclass

from rig.klog.explain.amounts import families, managed_kb, unaccounted_kb
from rig.klog.explain.cause import Cause, Certainty, found
from rig.klog.explain.words import count, size
from rig.klog.oom.oom_event import OomEvent

__all__ = ["held_by_no_process"]

_MOST = 0.5  # a share of memory that counts as most of it
_MUCH = 0.25  # a share of memory that alone can explain a shortage


@dataclass(frozen=True, slots=True)
class _Held:
    """Memory of one kind.

    name: that of the cause.
    text: what happened; `{}` in it is replaced by the words for its share.
    line: the line that shows it.
    """

    name: str
    kb: int
    text: str
    line: int


def held_by_no_process(event: OomEvent) -> Cause | None:
    """Return the largest kind as the cause, or None where it is too small to explain the shortage.

    It must be at least a quarter of the machine's memory, and at least what any process name holds in total. A page
    that several processes map is in the resident set of each, so the sum is bounded by all memory of processes.
    """
    held = max(_kinds(event), key=lambda kind: kind.kb)
    whole = managed_kb(event)
    if not whole or held.kb < whole * _MUCH:
        return None
    most = max((kb for _name, kb, _processes in families(event)), default=0)
    if held.kb < min(most, _of_processes(event, most)):
        return None
    certainty = Certainty.CERTAIN if held.kb >= whole * _MOST else Certainty.LIKELY
    return found(held.name, certainty, held.text.replace("{}", f"{size(held.kb)} of {size(whole)}"), held.line)


def _of_processes(event: OomEvent, unknown: int) -> int:
    """Return the memory that any process can hold, each page once, in kB; `unknown` where the report does not tell."""
    if "active_anon" not in event.mem_info or "mapped" not in event.mem_info:
        return unknown
    pages = sum(event.mem_info.get(key, 0) for key in ("active_anon", "inactive_anon", "mapped", "unevictable"))
    return pages * event.page_kb + event.totals.get("total_swap_kb", 0)


def _kinds(event: OomEvent) -> list[_Held]:
    """Return the kinds of memory; of two that are equally large the first is the cause."""
    kb = event.page_kb

    def counted(key: str) -> tuple[int, int]:
        return event.mem_info.get(key, 0) * kb, event.mem_info_lines.get(key, event.line)

    unevictable, unevictable_line = counted("unevictable")
    # Processes' locked memory is unevictable as well.
    unevictable -= sum(row.rss for row in event.tasks) * kb
    stacks = sum(node.values.get("kernel_stack", 0) for node in event.nodes)
    tasks = f" The task table has {count(len(event.tasks), 'process', 'processes')}." if event.tasks else ""
    return [
        _huge_pages(event),
        _slab(event),
        _Held("shmem", counted("shmem")[0], "Files in tmpfs and shared memory filled memory: {}.", counted("shmem")[1]),
        _Held(
            "unevictable",
            unevictable,
            "Memory that cannot be reclaimed and that no process maps (files in ramfs, locked shared memory) filled "
            "the machine: {}.",
            unevictable_line,
        ),
        _Held("page-tables", counted("pagetables")[0], "Page tables filled memory: {}.", counted("pagetables")[1]),
        _Held(
            "kernel-stacks",
            stacks,
            f"The kernel's stacks of threads and processes filled memory: {{}}.{tasks}",
            event.nodes[0].line if event.nodes else event.line,
        ),
        _Held(
            "uncounted",
            unaccounted_kb(event),
            "Memory is in no counter of the report (drivers, a leak, a balloon): {}.",
            event.totals_lines.get("pages_ram", event.line),
        ),
    ]


def _huge_pages(event: OomEvent) -> _Held:
    total = sum(pool.total * pool.size_kb for pool in event.hugepages)
    unused = sum(pool.free * pool.size_kb for pool in event.hugepages)
    use = "none of it is in use" if unused == total else f"{size(unused)} of it are unused"
    line = event.hugepages[0].line if event.hugepages else event.line
    return _Held("huge-pages", total, f"Memory is set aside for huge pages (hugetlb): {{}}; {use}.", line)


def _slab(event: OomEvent) -> _Held:
    """Return the unreclaimable slabs, with the largest cache that the report lists.

    A kmalloc() of more than two pages takes pages and belongs to no cache, but is counted all the same
    (___kmalloc_large_node() in mm/slub.c).
    """
    kb = event.mem_info.get("slab_unreclaimable", 0) * event.page_kb
    cache = max(event.slabs, key=lambda row: row.total_kb, default=None)
    named = ""
    if cache is not None and cache.total_kb * 10 >= kb:
        named = f" The largest cache is {cache.name} with {size(cache.total_kb)}."
    elif cache is not None:
        named = (
            f" None of the caches in the list is large (the largest is {cache.name} with {size(cache.total_kb)}): "
            "these are allocations of more than two pages (kmalloc), which have no cache."
        )
    text = f"The kernel's own unreclaimable slabs filled memory: {{}}.{named}"
    return _Held("slab", kb, text, event.mem_info_lines.get("slab_unreclaimable", event.line))
