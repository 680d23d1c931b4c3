# SPDX-License-Identifier: MIT
"""Parse /proc/zoneinfo (zoneinfo_show_print(), mm/vmstat.c): free pages and watermarks of each zone."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ZoneState", "read_zoneinfo"]

ZONE = re.compile(r"^Node\s+(\d+), zone\s+(\w+)", re.MULTILINE)
FIELDS = ("free", "boost", "min", "managed")
PROTECTION = re.compile(r"^\s+protection: \(([\d, ]+)\)", re.MULTILINE)
# `count:` stands once for each CPU: the number of pages in that CPU's free lists.
COUNT = re.compile(r"^\s+count:\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class ZoneState:
    """A zone that has memory. All counts are in pages.

    free: pages in the buddy allocator.
    min: the watermark, without its temporary boost.
    protection: lowmem_reserve of this zone against an allocation that may use the highest zone.
    per_cpu: pages in per-CPU free lists, which MemFree does not count.
    """

    node: int
    name: str
    free: int
    min: int
    protection: int
    per_cpu: int


def read_zoneinfo(text: str) -> tuple[ZoneState, ...]:
    """Return the zones that have managed pages. A field that is missing or does not parse is 0."""
    heads = [*ZONE.finditer(text)]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    zones = [_zone(head, text[head.start() : end]) for head, end in zip(heads, ends, strict=False)]
    return tuple(zone for zone in zones if zone is not None)


def _zone(match: re.Match[str], text: str) -> ZoneState | None:
    values = {field: _field(text, field) for field in FIELDS}
    if values["managed"] == 0:
        return None
    held = PROTECTION.search(text)
    return ZoneState(
        node=int(match[1]),
        name=match[2],
        free=values["free"],
        min=values["min"] - values["boost"],
        protection=int(held[1].split(",")[-1]) if held else 0,
        per_cpu=sum(int(count) for count in COUNT.findall(text)),
    )


def _field(text: str, name: str) -> int:
    found = re.search(rf"^\s+(?:pages )?{name}\s+(\d{{1,18}})$", text, re.MULTILINE)
    return int(found[1]) if found else 0
