# SPDX-License-Identifier: MIT
"""Explain why the request could not be served: watermarks, fragmentation, limits, swap."""

from __future__ import annotations

from rig.klog.explain.amounts import limit_that_was_hit
from rig.klog.explain.explanation import Section, Sentence
from rig.klog.explain.usable import allowed_nodes, held_back, reserved_kb, usable_blocks, usable_zones
from rig.klog.explain.words import count, size
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import Zone

__all__ = ["why"]


def why(event: OomEvent) -> Section:
    """Return the section on what kept the request from being served."""
    sentences: list[Sentence] = []
    if event.scope == "memcg":
        sentences += _cgroup(event)
    elif event.scope == "sysrq":
        sentences.append(
            Sentence("Nothing was asked for: SysRq f kills whether or not memory is short.", (event.line,))
        )
    else:
        nodes = allowed_nodes(event)
        if nodes is not None:
            named = ", ".join(map(str, sorted(nodes)))
            sentences.append(
                Sentence(
                    f"Only memory of node {named} was allowed ({event.constraint}): free memory elsewhere did not "
                    "count.",
                    _lines(event.constraint_line),
                )
            )
        sentences += _zones(event)
        sentences += _swap(event)
        sentences += _reclaim(event)
    if not sentences:
        sentences.append(Sentence("The log does not hold the figures that would show it."))
    return Section("Why it could not be had", tuple(sentences))


def _zones(event: OomEvent) -> list[Sentence]:
    """Return a sentence for each usable zone that had no page, and one on those that had.

    The tests are those of __zone_watermark_ok() (mm/page_alloc.c): without its CMA pages and its highatomic reserve,
    which __zone_watermark_unusable_free() subtracts, the zone must have more than min and lowmem_reserve.
    """
    sentences = []
    enough = []
    reserve_of = held_back(event)
    for zone in usable_zones(event):
        reserve = reserve_of(zone)
        cma, atomic = reserved_kb(event, zone)
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
        elif zone.free - cma - atomic <= zone.min + reserve:
            kinds = [f"{size(cma)} of it lie in CMA areas"] if cma else []
            kinds += [f"{size(atomic)} are the highatomic reserve"] if atomic else []
            sentences.append(
                Sentence(
                    f"{name} had {size(zone.free)} free, but {' and '.join(kinds)}, which this request may not use; "
                    f"its min watermark is {size(zone.min)}.",
                    (zone.line,),
                )
            )
        else:
            enough.append(zone)
    order = event.order or 0
    if order > 0:
        sentences += _fragmentation(event, enough, order)
    elif enough and event.gfp_mask != 0:
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
        blocks, denied = usable_blocks(event, zone, order)
        if blocks == 0 and denied:
            sentences.append(
                Sentence(
                    f"Zone {zone.name} of node {zone.node} had {count(denied, 'free block')} of {size(wanted)} or "
                    "more, all of them in CMA areas or reserves that this request may not use.",
                    _lines(zone.buddy_line),
                )
            )
        elif blocks == 0:
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
    lines = (event.mem_info_lines.get("active_file", event.mem_info_line),)
    if whole and left * 50 <= whole:
        return [Sentence(f"The page cache was down to {size(left)}: reclaim had nothing left to give.", lines)]
    if any("ATOMIC" in flag or "NOWAIT" in flag for flag in event.gfp_flags):
        return [Sentence(f"The page cache held {size(left)}, but the request could not wait for reclaim.", lines)]
    if whole:
        text = f"The page cache still held {size(left)}; why reclaim did not free it the report does not tell."
        return [Sentence(text, lines)]
    return []


def _cgroup(event: OomEvent) -> list[Sentence]:
    sentences = []
    hit = limit_that_was_hit(event)
    for usage in event.cgroup:
        if usage.limit_kb == 0 and usage.name == "swap":
            sentences.append(Sentence("The cgroup may use no swap.", (usage.line,)))
        elif usage is hit and usage.limit_kb is not None:
            times = f", and had reached it {count(usage.failcnt, 'time')}" if usage.failcnt else ""
            what = {"memory": "", "memory+swap": "memory and swap "}.get(usage.name, f"{usage.name} ")
            name = event.oom_memcg or event.cgroup_path
            text = (
                f"The cgroup {name} was at its {what}limit: {size(usage.usage_kb)} of {size(usage.limit_kb)}{times}. "
                "The machine itself need not lack memory."
            )
            sentences.append(Sentence(text, (usage.line, *_lines(event.constraint_line))))
        elif usage.limit_kb is not None and usage.usage_kb >= usage.limit_kb:
            text = f"Its {usage.name} limit of {size(usage.limit_kb)} was used up as well."
            sentences.append(Sentence(text, (usage.line,)))
        elif usage.limit_kb is not None:
            text = f"Its {usage.name} was not at the limit: {size(usage.usage_kb)} of {size(usage.limit_kb)}."
            sentences.append(Sentence(text, (usage.line,)))
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
