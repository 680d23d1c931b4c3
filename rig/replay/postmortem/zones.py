# SPDX-License-Identifier: MIT
"""Free pages and watermarks of the zones, as __zone_watermark_ok() compares them (mm/page_alloc.c)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rig.run.postmortem import ZoneState

__all__ = ["read_zones"]


def read_zones(program: Any) -> tuple[ZoneState, ...]:
    """Return the populated zones of all nodes."""
    return tuple(_zones(program))


def _zones(program: Any) -> Iterator[ZoneState]:
    from drgn.helpers.linux.nodemask import for_each_online_node

    free = program.constant("NR_FREE_PAGES")
    for node in for_each_online_node(program):
        data = program["node_data"][node]
        for index, zone in enumerate(data.node_zones):
            if not zone.present_pages:
                continue
            # wmark_pages() in include/linux/mmzone.h adds watermark_boost to each watermark.
            boost = int(zone.watermark_boost)
            minimum, low, high = (int(zone._watermark[index]) + boost for index in range(3))
            yield ZoneState(
                node=node,
                index=index,
                name=zone.name.string_().decode(),
                free=int(zone.vm_stat[free].counter),
                min=minimum,
                low=low,
                high=high,
                managed=int(zone.managed_pages.counter),
                present=int(zone.present_pages),
                lowmem_reserve=tuple(int(pages) for pages in zone.lowmem_reserve),
            )
