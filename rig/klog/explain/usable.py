# SPDX-License-Identifier: MIT
"""Derive what a request could have used: which zones, and how much of their free memory.

Sources: gfp_zone() in include/linux/gfp.h; __zone_watermark_unusable_free() and __zone_watermark_ok() in
mm/page_alloc.c. A zone serves a request only while its usable free pages exceed the min watermark plus lowmem_reserve,
the pages that it keeps from requests that could have used a higher zone.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import BuddyOrder, Zone
from rig.klog.oom.totalpages import parse_nodes

__all__ = [
    "allowed_nodes", "free_elsewhere", "held_back", "is_movable", "measured", "reserved_kb", "usable_blocks",
    "usable_zones", "zone_limit",
]  # fmt: skip

_ORDER_OF_ZONES = ("DMA", "DMA32", "Normal", "HighMem", "Movable", "Device")


def is_movable(event: OomEvent) -> bool:
    """Return whether the request was for movable pages (__GFP_MOVABLE), so that CMA and ZONE_MOVABLE may serve it."""
    return any("MOVABLE" in flag for flag in event.gfp_flags)


def zone_limit(event: OomEvent) -> str | None:
    """Return the highest zone of a request with GFP_DMA or GFP_DMA32, `DMA` or `DMA32`; None for any other request."""
    flags = {flag.removeprefix("__") for flag in event.gfp_flags}
    return "DMA" if "GFP_DMA" in flags else "DMA32" if "GFP_DMA32" in flags else None


def allowed_nodes(event: OomEvent) -> frozenset[int] | None:
    """Return the nodes that a memory policy or a cpuset allowed.

    None where all nodes were allowed, or where the report does not show which.
    """
    if event.scope == "mempolicy" and event.nodemask and (nodes := parse_nodes(event.nodemask)):
        return nodes
    if event.scope in ("cpuset", "mempolicy") and event.mems_allowed:
        return parse_nodes(event.mems_allowed)
    return None


def measured(event: OomEvent) -> tuple[Zone, ...]:
    """Return the zones whose free memory and watermarks the report holds; of other zones it has only buddy lists."""
    return tuple(zone for zone in event.zones if {"free", "min"} <= zone.values.keys())


def usable_zones(event: OomEvent) -> tuple[Zone, ...]:
    """Return the zones that the request could have used and whose figures the report holds."""
    zones = measured(event)
    nodes = allowed_nodes(event)
    if nodes is not None:
        zones = tuple(zone for zone in zones if zone.node in nodes)
    limit = zone_limit(event)
    if limit is not None:
        return tuple(zone for zone in zones if zone.name in ("DMA", limit))
    unusable = set() if is_movable(event) else {"Movable"}
    if not is_movable(event) and not any("HIGHUSER" in flag or "HIGHMEM" in flag for flag in event.gfp_flags):
        unusable.add("HighMem")
    return tuple(zone for zone in zones if zone.name not in unusable)


def free_elsewhere(event: OomEvent) -> tuple[int, tuple[int, ...]]:
    """Return the free memory in zones that the request could not use, in kB, and the lines that show it.

    From 6.1 on a report leaves out the zones above those that the request could use (max_zone_idx of
    __show_free_areas(), mm/show_mem.c). The number of all free pages includes them.
    """
    usable = {zone.line for zone in usable_zones(event)}
    others = [zone for zone in measured(event) if zone.line not in usable]
    printed = sum(zone.free for zone in others)
    left_out = event.mem_info.get("free", 0) * event.page_kb - sum(zone.free for zone in measured(event))
    if left_out > printed:
        return left_out, (event.mem_info_lines.get("free", event.line),)
    return printed, tuple(zone.line for zone in others)


def held_back(event: OomEvent) -> Callable[[Zone], int]:
    """Return a function that gives how much of a zone is reserved against this request (lowmem_reserve), in kB."""
    present = {zone.name for zone in event.zones}
    all_names = [name for name in _ORDER_OF_ZONES if name != "HighMem" or "HighMem" in present]
    # lowmem_reserve[] is indexed by the highest zone that the request may use (setup_per_zone_lowmem_reserve()).
    wanted = zone_limit(event) or ("Movable" if is_movable(event) else "Normal")

    def reserve(zone: Zone) -> int:
        if not zone.lowmem_reserve:
            return 0
        names = all_names
        if len(zone.lowmem_reserve) < len(names) and "DMA32" not in present:
            names = [name for name in names if name != "DMA32"]
        index = min(names.index(wanted) if wanted in names else 0, len(zone.lowmem_reserve) - 1)
        return zone.lowmem_reserve[index] * event.page_kb

    return reserve


def reserved_kb(event: OomEvent, zone: Zone) -> tuple[int, int]:
    """Return the part of a zone's free memory that this request may not use: (CMA, highatomic reserve), in kB."""
    cma = 0 if is_movable(event) else zone.values.get("free_cma", 0)
    atomic = any("ATOMIC" in flag for flag in event.gfp_flags)
    return cma, 0 if atomic else min(zone.values.get("reserved_highatomic", 0), max(zone.free - cma, 0))


def usable_blocks(event: OomEvent, zone: Zone, order: int) -> tuple[int, int]:
    """Return how many free blocks are large enough: (those that this request may use, those that it may not).

    The request may not use blocks whose migrate types are only C (CMA), H (highatomic) or I (isolated).
    """
    wanted = event.page_kb << order
    denied = {"H", "I"} if is_movable(event) else {"C", "H", "I"}

    def forbidden(entry: BuddyOrder) -> bool:
        return bool(entry.types) and set(entry.types) <= denied

    large = [entry for entry in zone.buddy if entry.size_kb >= wanted]
    return (
        sum(entry.count for entry in large if not forbidden(entry)),
        sum(entry.count for entry in large if forbidden(entry)),
    )
