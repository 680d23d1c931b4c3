# SPDX-License-Identifier: MIT
"""Why the memory could not be had: watermarks, fragmentation, limits, swap.

The rule is __zone_watermark_ok() in mm/page_alloc.c: a zone gives a page only while what is free stays above
its min watermark plus the pages that it holds back from requests that could have used a higher zone.
"""

from __future__ import annotations

from rig.klog.explain.explanation import Section, Sentence
from rig.klog.explain.words import size
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import Zone
from rig.klog.oom.totalpages import parse_nodes

__all__ = ["held_back_kb", "usable_zones", "why"]

_ORDER_OF_ZONES = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")


def why(event: OomEvent) -> Section:
    """Return what stood in the way."""
    sentences: list[Sentence] = []
    if event.scope == "memcg":
        sentences += _cgroup(event)
    elif event.scope != "sysrq":
        if event.scope in ("cpuset", "mempolicy") and event.mems_allowed:
            sentences.append(
                Sentence(
                    f"Only the memory of node {event.mems_allowed} was allowed ({event.constraint}): "
                    f"free memory elsewhere "
                    "did not count.",
                    _lines(event.constraint_line),
                )
            )
        sentences += _zones(event)
        sentences += _swap(event)
        sentences += _reclaim(event)
    if not sentences:
        sentences.append(Sentence("The log does not hold the figures that would show it."))
    return Section("Why it could not be had", tuple(sentences))


def usable_zones(event: OomEvent) -> tuple[Zone, ...]:
    """Return the zones that the request could have used."""
    zones = event.zones
    if event.scope in ("cpuset", "mempolicy") and event.mems_allowed:
        nodes = parse_nodes(event.mems_allowed)
        zones = tuple(zone for zone in zones if zone.node in nodes)
    movable = any("MOVABLE" in flag for flag in event.gfp_flags)
    highmem = movable or any("HIGHUSER" in flag or "HIGHMEM" in flag for flag in event.gfp_flags)
    unusable = set() if movable else {"Movable"}
    if not highmem:
        unusable.add("HighMem")
    return tuple(zone for zone in zones if zone.name not in unusable)


def held_back_kb(event: OomEvent, zone: Zone) -> int:
    """Return what the zone keeps from this request for others (lowmem_reserve), in kB."""
    if not zone.lowmem_reserve:
        return 0
    names = [name for name in _ORDER_OF_ZONES if name != "HighMem" or any(z.name == "HighMem" for z in event.zones)]
    if len(zone.lowmem_reserve) < len(names) and not any(z.name == "DMA32" for z in event.zones):
        names.remove("DMA32")
    movable = any("MOVABLE" in flag for flag in event.gfp_flags)
    wanted = "Movable" if movable else "Normal"
    index = min(names.index(wanted), len(zone.lowmem_reserve) - 1)
    return zone.lowmem_reserve[index] * event.page_kb


def _zones(event: OomEvent) -> list[Sentence]:
    sentences = []
    enough = []
    for zone in usable_zones(event):
        reserve = held_back_kb(event, zone)
        name = f"Zone {zone.name} of node {zone.node}"
        if zone.free <= zone.min:
            sentences.append(
                Sentence(
                    f"{name} was empty for ordinary requests: {size(zone.free)} free, at or "
                    f"below its min "
                    f"watermark of {size(zone.min)}.",
                    (zone.line,),
                )
            )
        elif zone.free <= zone.min + reserve:
            sentences.append(
                Sentence(
                    f"{name} had {size(zone.free)} free, but keeps {size(reserve)} back "
                    f"from requests that a "
                    f"higher zone could serve (lowmem_reserve), beside its min watermark of "
                    f"{size(zone.min)}.",
                    (zone.line, zone.reserve_line or zone.line),
                )
            )
        else:
            enough.append(zone)
    order = event.order or 0
    if order > 0:
        sentences += _fragmentation(event, enough, order)
    elif enough:
        named = ", ".join(
            f"{zone.name} of node {zone.node} ({size(zone.free)} free, min {size(zone.min)})" for zone in enough
        )
        sentences.append(
            Sentence(
                f"By these figures a page could still be had from: {named}. They were taken after the "
                f"decision: memory "
                "was freed in between, or the request was bound by something that the log does not show.",
                tuple(zone.line for zone in enough),
            )
        )
    return sentences


def _fragmentation(event: OomEvent, enough: list[Zone], order: int) -> list[Sentence]:
    sentences = []
    wanted = event.page_kb << order
    for zone in enough or usable_zones(event):
        if not zone.buddy:
            continue
        blocks = sum(entry.count for entry in zone.buddy if entry.size_kb >= wanted)
        if blocks == 0:
            largest = max((entry.size_kb for entry in zone.buddy if entry.count), default=0)
            sentences.append(
                Sentence(
                    f"Zone {zone.name} of node {zone.node} was fragmented: {size(zone.free)} free, but "
                    f"no free block of "
                    f"{size(wanted)}; the largest was {size(largest)}.",
                    _lines(zone.buddy_line),
                )
            )
    return sentences


def _swap(event: OomEvent) -> list[Sentence]:
    total, free = event.totals.get("total_swap_kb"), event.totals.get("free_swap_kb")
    if total is None or free is None:
        return []
    lines = (event.totals_lines["free_swap_kb"], event.totals_lines["total_swap_kb"])
    if total == 0:
        return [Sentence("There is no swap: anonymous memory could not be moved out.", lines)]
    if free * 50 <= total:
        return [Sentence(f"Swap was full: {size(free)} of {size(total)} free.", lines)]
    return [
        Sentence(
            f"Swap still had {size(free)} of {size(total)} free: what was left in memory could not be "
            f"swapped (locked, "
            "in use by the kernel, or swapping was too slow).",
            lines,
        )
    ]


def _reclaim(event: OomEvent) -> list[Sentence]:
    cache = [event.mem_info.get(key) for key in ("active_file", "inactive_file")]
    if any(value is None for value in cache) or event.mem_info_line is None:
        return []
    left = sum(value or 0 for value in cache) * event.page_kb
    whole = (event.totals.get("pages_ram") or 0) * event.page_kb
    if whole and left * 50 > whole:
        return [
            Sentence(
                f"The page cache still held {size(left)}, but it was in use or dirty.",
                (event.mem_info_lines.get("active_file", event.mem_info_line),),
            )
        ]
    return [
        Sentence(
            f"The page cache was down to {size(left)}: reclaim had nothing left to give.",
            (event.mem_info_lines.get("active_file", event.mem_info_line),),
        )
    ]


def _cgroup(event: OomEvent) -> list[Sentence]:
    sentences = []
    for usage in event.cgroup:
        if usage.name == "memory" and usage.limit_kb is not None:
            sentences.append(
                Sentence(
                    f"The cgroup {event.oom_memcg or event.cgroup_path} was at its limit: "
                    f"{size(usage.usage_kb)} of "
                    f"{size(usage.limit_kb)}, and had run into it {usage.failcnt} times. The machine "
                    f"itself need not lack "
                    "memory.",
                    (usage.line, *_lines(event.constraint_line)),
                )
            )
        elif usage.name in ("swap", "memory+swap") and usage.limit_kb is not None:
            if usage.limit_kb == 0:
                sentences.append(Sentence("The cgroup may use no swap.", (usage.line,)))
            elif usage.usage_kb >= usage.limit_kb:
                sentences.append(
                    Sentence(
                        f"Its {usage.name} limit of {size(usage.limit_kb)} was used up as well.",
                        (usage.line,),
                    )
                )
    if event.task_memcg and event.oom_memcg and event.task_memcg != event.oom_memcg:
        sentences.append(
            Sentence(
                f"The limit is not the victim's own cgroup's ({event.task_memcg}) but one above it: {event.oom_memcg}.",
                _lines(event.constraint_line),
            )
        )
    return sentences


def _lines(line: int | None) -> tuple[int, ...]:
    return () if line is None else (line,)
