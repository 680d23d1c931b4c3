# SPDX-License-Identifier: MIT
"""Causes that lie in the request: memory was free that it could not use (nodes, zones, reserves, fragments)."""

from __future__ import annotations

from collections.abc import Iterator

from rig.klog.explain.cause import Cause, Certainty, found
from rig.klog.explain.explanation import Sentence
from rig.klog.explain.usable import (
    allowed_nodes,
    free_elsewhere,
    held_back,
    measured,
    reserved_kb,
    usable_blocks,
    usable_zones,
    zone_limit,
)
from rig.klog.explain.words import count, size
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import Zone

__all__ = ["fragmented", "low_zone", "nodes", "reserved", "unmovable"]


def nodes(event: OomEvent) -> Cause | None:
    allowed = allowed_nodes(event)
    if allowed is None:
        return None
    reserve = held_back(event)
    zones = [zone for zone in usable_zones(event) if zone.free <= zone.min + reserve(zone)]
    named = ", ".join(map(str, sorted(allowed)))
    which = f"node {named}" if len(allowed) == 1 else f"nodes {named}"
    what = "A memory policy bound" if event.scope == "mempolicy" else "A cpuset confined"
    free = sum(zone.free for zone in zones)
    low = sum(zone.min for zone in zones)
    text = f"{what} the request to {which}, and there memory had run out"
    text += f": {size(free)} free, at or below the min watermark of {size(low)}." if zones else "."
    here = sum(zone.free for zone in measured(event) if zone.node in allowed)
    elsewhere = event.mem_info.get("free", 0) * event.page_kb - here
    if elsewhere > max(free, 1024):
        text += f" {size(elsewhere)} were free on other nodes."
    lines = (*(zone.line for zone in zones), *((event.constraint_line,) if event.constraint_line else ()))
    return Cause(event.scope or "", Certainty.CERTAIN if zones else Certainty.LIKELY, Sentence(text, lines))


def low_zone(event: OomEvent) -> Cause | None:
    """Return the cause where the request was bound to a low zone (GFP_DMA, GFP_DMA32) and higher zones had memory."""
    limit = zone_limit(event)
    zones, reserve = usable_zones(event), held_back(event)
    if limit is None or not zones or any(zone.free > zone.min + reserve(zone) for zone in zones):
        return None
    text = (
        f"The request was bound to zone {limit} or a lower one (GFP_{limit}), and there memory had run out: "
        f"{_figures(zones)}."
    )
    elsewhere, lines = free_elsewhere(event)
    if elsewhere:
        text += f" {size(elsewhere)} were free in the other zones, which it may not use."
    return found("low-zone", Certainty.CERTAIN, text, event.line, *(zone.line for zone in zones), *lines)


def unmovable(event: OomEvent) -> Cause | None:
    """Return the cause where only zones for movable pages or for programs had memory left.

    These are Movable (movable_node, movablecore=, kernelcore=) and, on 32-bit machines, HighMem.
    """
    zones, reserve = usable_zones(event), held_back(event)
    if zone_limit(event) is not None or allowed_nodes(event) is not None or not zones:
        return None
    if any(zone.free > zone.min + reserve(zone) for zone in zones):
        return None
    elsewhere, lines = free_elsewhere(event)
    if elsewhere <= sum(max(zone.high, reserve(zone)) for zone in zones):
        return None
    if any(zone.name == "HighMem" for zone in event.zones) or event.totals.get("pages_highmem_movableonly"):
        name = "low-zone"
        what = "The request was for low memory, which the kernel has mapped, and that"
        where = "in zone HighMem, which is for programs and the page cache"
    elif any(zone.name == "Movable" for zone in event.zones) or _has_movable(zones):
        name = "movable-zone"
        what = "The request was for memory that cannot be moved, and the zones that hold such memory"
        where = "in zone Movable (movable_node, movablecore= or kernelcore=), which the kernel's own pages may not use"
    else:
        return None
    text = f"{what} had run out: {_figures(zones)}. {size(elsewhere)} were free {where}."
    return found(name, Certainty.CERTAIN, text, event.line, *(zone.line for zone in zones), *lines)


def _has_movable(zones: tuple[Zone, ...]) -> bool:
    """Return whether the zones keep a reserve from requests that could use zone Movable as well.

    lowmem_reserve[] has an entry for each zone; that of Movable is larger than that of the zone below it only where
    Movable has pages (setup_per_zone_lowmem_reserve() in mm/page_alloc.c). ZONE_DEVICE comes after it.
    """
    return any(len(zone.lowmem_reserve) > 3 and zone.lowmem_reserve[-1] > zone.lowmem_reserve[2] for zone in zones)


def _figures(zones: tuple[Zone, ...]) -> str:
    return " and ".join(f"{zone.name} ({size(zone.free)} free, min {size(zone.min)})" for zone in zones)


def reserved(event: OomEvent) -> Cause | None:
    """Return the cause where the free memory that the request could not use is in CMA areas, else in highatomic.

    causes.py uses `highatomic` only where the report does not show what filled memory, because the reserve is small:
    about 1 % of a zone, and up to two page blocks more (reserve_highatomic_pageblock() in mm/page_alloc.c).
    """
    return min(_reserves(event), key=lambda cause: cause.name != "cma", default=None)


def _reserves(event: OomEvent) -> Iterator[Cause]:
    """Yield a cause for each zone in which free memory that this request may not use would have been enough."""
    if (event.order or 0) > 0:
        return
    reserve = held_back(event)
    for zone in usable_zones(event):
        in_cma, atomic = reserved_kb(event, zone)
        low = zone.min + reserve(zone)
        if in_cma + atomic >= 1024 and zone.free > low >= zone.free - in_cma - atomic:
            kinds = [f"{size(in_cma)} lie in CMA areas, which only movable pages may use"] if in_cma else []
            kinds += [f"{size(atomic)} are reserved for requests that cannot wait (highatomic)"] if atomic else []
            text = (
                f"Of the {size(zone.free)} free in zone {zone.name} of node {zone.node} {' and '.join(kinds)}: "
                f"{size(zone.free - in_cma - atomic)} are left for this request, at or below the min watermark of "
                f"{size(low)}."
            )
            yield found("cma" if in_cma >= atomic else "highatomic", Certainty.CERTAIN, text, event.line, zone.line)


def fragmented(event: OomEvent) -> Cause | None:
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
    return found("fragmentation", Certainty.CERTAIN, text + ".", *(zone.buddy_line or zone.line for zone in zones))
