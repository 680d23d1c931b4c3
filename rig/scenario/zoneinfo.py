# SPDX-License-Identifier: MIT
"""/proc/zoneinfo: what each zone has free, and how far down the kernel would go (mm/vmstat.c zoneinfo_show_print())."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ZoneState", "read_zoneinfo"]

ZONE = re.compile(r"^Node\s+(\d+), zone\s+(\w+)", re.MULTILINE)
FIELDS = ("free", "boost", "min", "managed")
PROTECTION = re.compile(r"^\s+protection: \(([\d, ]+)\)", re.MULTILINE)
# `count:` of each CPU's page set; the `vm stats threshold` that follows has no such line.
COUNT = re.compile(r"^\s+count:\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class ZoneState:
    """A zone with memory. All in pages.

    free: in the buddy allocator; min: the watermark without its boost; protection: what it holds back from an
    allocation that could use the highest zone; per_cpu: free pages that lie in per-CPU lists, which MemFree does
    not count.
    """

    node: int
    name: str
    free: int
    min: int
    protection: int
    per_cpu: int


def read_zoneinfo(text: str) -> tuple[ZoneState, ...]:
    """Return the zones that have memory. A part that is missing or makes no sense is zero."""
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
