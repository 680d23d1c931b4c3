# SPDX-License-Identifier: MIT
"""Explain where the memory is: in processes, shared between them, or held by no process."""

from __future__ import annotations

from collections import defaultdict

from rig.klog.explain.amounts import unaccounted_kb
from rig.klog.explain.explanation import Bar, Picture, Section, Sentence
from rig.klog.explain.usable import held_back, measured, reserved_kb, usable_zones
from rig.klog.explain.words import count, size
from rig.klog.kinds import Kind
from rig.klog.oom.badness import page_table_pages
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import TaskRow, Zone

__all__ = ["held_outside", "holders", "pictures"]

_TOP = 5
HUGE_PAGES = "Huge pages set aside (hugetlb)"


def holders(event: OomEvent) -> Section:
    """Return the section on who held the memory, largest first, and on pages that are counted more than once."""
    sentences: list[Sentence] = []
    kb = event.page_kb
    ranked = sorted(event.tasks, key=lambda row: row.rss + (row.swapents or 0), reverse=True)
    for row in ranked[:_TOP]:
        if row.rss + (row.swapents or 0) == 0:
            break
        swap = f" and {size(row.swapents * kb)} in swap" if row.swapents else ""
        sentences.append(
            Sentence(
                f"{row.name} (pid {row.pid}): {size(row.rss * kb)} in memory{swap}{_parts(row, kb)}.",
                (row.line,),
            )
        )
    rest = sum(row.rss for row in ranked[_TOP:]) * kb
    if rest:
        others = count(len(ranked) - _TOP, "other task")
        sentences.append(Sentence(f"{others} together: {size(rest)}.", (ranked[_TOP].line,)))
    sentences += _shared(event)
    sentences += _families(event)
    for label, value, line in held_outside(event):
        if value >= 1024:
            sentences.append(Sentence(f"{label}: {size(value)}.", (line,)))
    sentences += _in_files_of_memory(event)
    return Section("Where the memory is", tuple(sentences))


def _in_files_of_memory(event: OomEvent) -> list[Sentence]:
    """Return a sentence on tmpfs and shared memory that no task maps: it stays when its creator is killed."""
    shmem = event.mem_info.get("shmem", 0)
    ram = event.totals.get("pages_ram", 0)
    mapped = sum(row.rss_shmem or 0 for row in event.tasks)
    if not ram or shmem * 20 < ram or mapped * 2 > shmem:
        return []
    return [
        Sentence(
            f"Most of the {size(shmem * event.page_kb)} in tmpfs and shared memory is in no task's row: no kill "
            f"gives it "
            "back. It goes when the files are deleted (look at /tmp, /dev/shm, /run), or to swap where there is some.",
            (event.mem_info_lines.get("shmem", event.line),),
        )
    ]


def _parts(row: TaskRow, kb: int) -> str:
    if row.rss_anon is None or row.rss_file is None or row.rss_shmem is None:
        return ""
    parts = [
        ("of its own", row.rss_anon),
        ("from files", row.rss_file),
        ("shared memory or tmpfs", row.rss_shmem),
    ]
    named = [f"{size(pages * kb)} {label}" for label, pages in parts if pages * kb >= 1024]
    return f" ({', '.join(named)})" if named else ""


def _shared(event: OomEvent) -> list[Sentence]:
    """Return a sentence on the pages that the task table counts more than once."""
    if not event.tasks or not event.mem_info:
        return []
    rows = [row for row in event.tasks if row.rss_anon is not None]
    info = event.mem_info
    anon_keys = ("active_anon", "inactive_anon", "isolated_anon", "unevictable")
    present = sum(info.get(key, 0) for key in anon_keys)
    line = event.mem_info_line or event.line
    if rows and len(rows) == len(event.tasks):
        # tmpfs pages are on the anonymous LRU lists too (folio_is_file_lru(), include/linux/mm_inline.h), but in
        # rss_shmem of the rows: `present` errs upwards, so that what is claimed to be counted twice is.
        claimed = sum(row.rss_anon or 0 for row in rows)
        if claimed > present * 1.05 and claimed - present > 256:
            return [
                Sentence(
                    f"The tasks' own memory adds up to {size(claimed * event.page_kb)}, but only "
                    f"{size(present * event.page_kb)} of anonymous memory exists: at least "
                    f"{size((claimed - present) * event.page_kb)} is counted more than once. Pages that "
                    f"a fork left "
                    "shared stand in the rows of both parent and child.",
                    (event.tasks_line or event.line, line),
                )
            ]
        return []
    claimed = sum(row.rss for row in event.tasks)
    total = event.totals.get("pages_ram", 0)
    if total and claimed > total:
        return [
            Sentence(
                f"The rows add up to {size(claimed * event.page_kb)}, more than the machine has: shared "
                f"pages are counted "
                "once for each task that maps them.",
                (event.tasks_line or event.line, event.totals_lines["pages_ram"]),
            )
        ]
    return []


def _families(event: OomEvent) -> list[Sentence]:
    """Return a sentence for each group of rows that look like forks: same name, nearly the same total_vm."""
    groups: dict[str, list[TaskRow]] = defaultdict(list)
    for row in event.tasks:
        if row.rss * event.page_kb >= 4096:
            groups[row.name].append(row)
    sentences = []
    for name, rows in groups.items():
        sizes = [row.total_vm for row in rows]
        if len(rows) > 1 and max(sizes) <= min(sizes) * 1.25:
            together = sum(row.rss for row in rows) * event.page_kb
            sentences.append(
                Sentence(
                    f"{count(len(rows), 'row')} named {name} have nearly the same address space: likely "
                    f"forks of one "
                    f"another. Their {size(together)} may be the same pages, counted {len(rows)} times.",
                    tuple(row.line for row in rows[:8]),
                )
            )
    return sentences


def held_outside(event: OomEvent) -> list[tuple[str, int, int]]:
    """Return (label, kB, line) of each part of memory that no task's row shows."""
    kb, info = event.page_kb, event.mem_info
    line = event.mem_info_line or event.line
    found = []
    if info:
        for label, keys in (
            ("Page cache (files)", ("active_file", "inactive_file")),
            ("Shared memory and tmpfs", ("shmem",)),
            ("Kernel slabs that can be reclaimed", ("slab_reclaimable",)),
            ("Kernel slabs that cannot", ("slab_unreclaimable",)),
            ("Page tables", ("pagetables",)),
            ("Free", ("free",)),
        ):
            value = sum(info.get(key, 0) for key in keys) * kb
            found.append((label, value, event.mem_info_lines.get(keys[0], line)))
    elif event.cgroup_stats:
        stats_line = event.cgroup_stats_line or event.line
        for label, key in (
            ("Page cache (files)", "file"),
            ("of it shared memory and tmpfs", "shmem"),
            ("Kernel slabs", "slab"),
            ("Page tables", "pagetables"),
            ("Kernel stacks", "kernel_stack"),
            ("Network buffers", "sock"),
        ):
            if key in event.cgroup_stats:
                found.append((label, event.cgroup_stats[key] // 1024, stats_line))
    else:
        tables = sum(page_table_pages(row, kb) for row in event.tasks) * kb
        if tables:
            found.append(("Page tables", tables, event.tasks_line or event.line))
    stacks = sum(node.values.get("kernel_stack", 0) for node in event.nodes)
    if stacks:
        found.append(("Kernel stacks", stacks, event.nodes[0].line))
    huge = sum(pool.total * pool.size_kb for pool in event.hugepages)
    if huge:
        found.append((HUGE_PAGES, huge, event.hugepages[0].line))
    rest = unaccounted_kb(event)
    if rest > 16 * 1024:
        label = "In no counter (drivers, per-CPU data, a balloon)"
        found.append((label, rest, event.totals_lines.get("pages_ram", line)))
    if event.slabs:
        largest = max(event.slabs, key=lambda row: row.total_kb)
        found.append((f"Largest unreclaimable slab, {largest.name}", largest.total_kb, largest.line))
    if event.allocations:
        site = max(event.allocations, key=lambda entry: entry.size_bytes)
        found.append((f"Largest allocation site, {site.site}", site.size_bytes // 1024, site.line))
    return found


def pictures(event: OomEvent) -> tuple[Picture, ...]:
    """Return two pictures: memory by holder, and the zones' free memory against their watermarks."""
    kb = event.page_kb
    drawn = []
    ranked = sorted(event.tasks, key=lambda row: row.rss + (row.swapents or 0), reverse=True)
    bars = [_task_bar(row, kb) for row in ranked[:8] if row.rss + (row.swapents or 0)]
    rest = sum(row.rss for row in ranked[8:]) * kb
    swapped = sum(row.swapents or 0 for row in ranked[8:]) * kb
    if rest + swapped:
        parts = (("in swap", swapped),) if swapped else ()
        bars.append(Bar(f"{len(ranked) - 8} more tasks", rest + swapped, lines=(ranked[8].line,), parts=parts))
    unused = sum(pool.free * pool.size_kb for pool in event.hugepages)
    for label, value, line in held_outside(event):
        parts = (("unused", unused),) if label == HUGE_PAGES and unused else ()
        if value >= 1024:
            bars.append(Bar(label, value, lines=(line,), parts=parts))
    if bars:
        limit = next((usage.limit_kb for usage in event.cgroup if usage.name == "memory"), None)
        ram = event.totals.get("pages_ram", 0) * kb or None
        whole = limit if event.scope == "memcg" else ram
        largest = max(bar.value_kb for bar in bars)
        drawn.append(Picture("Memory by holder", tuple(bars), max(whole, largest) if whole else None))
    zones = _zone_bars(event)
    if zones:
        drawn.append(Picture("Free by zone, with its min, low and high watermark", tuple(zones)))
    return tuple(drawn)


def _task_bar(row: TaskRow, kb: int) -> Bar:
    parts = (("in swap", row.swapents * kb),) if row.swapents else ()
    return Bar(f"{row.name} [{row.pid}]", (row.rss + (row.swapents or 0)) * kb, lines=(row.line,), parts=parts)


def _zone_bars(event: OomEvent) -> list[Bar]:
    """Return each zone's free memory; a part of it is what this request may not have."""
    by_request = event.kind is not Kind.MEMORY_INFO and event.scope not in ("sysrq", "memcg")
    usable = {zone.line for zone in usable_zones(event)}
    reserve = held_back(event)
    bars = []
    for zone in measured(event):
        if not zone.values.get("present", 1):
            continue
        held = 0
        if by_request:
            held = reserve(zone) + sum(reserved_kb(event, zone)) if zone.line in usable else zone.free
        bars.append(_zone_bar(zone, min(held, zone.free)))
    return bars


def _zone_bar(zone: Zone, held: int) -> Bar:
    return Bar(
        f"node {zone.node} {zone.name}",
        zone.free,
        (("min", zone.min), ("low", zone.low), ("high", zone.high)),
        (zone.line,),
        (("held back from this request", held),) if held else (),
    )
