# SPDX-License-Identifier: MIT
"""Parse Mem-Info: counters, nodes, zones, buddy lists, huge pages, totals, slabs, allocation profile.

Formats: show_free_areas() and __show_mem() in mm/show_mem.c (mm/page_alloc.c and lib/show_mem.c in 6.1),
dump_unreclaimable_slab() in mm/slab_common.c, alloc_tag's top users in lib/alloc_tag.c.
Every `key:value` pair is kept, whatever the key, so that a new kernel's counters are not lost.
"""

from __future__ import annotations

import re

from rig.klog.oom.parts import AllocationSite, BuddyOrder, HugePages, Node, SlabRow, Zone

__all__ = ["MemInfoReader", "is_whole_total"]

_PAIR = re.compile(r"\b([A-Za-z_]\w{0,63}(?:\(\w{1,63}\))?): ?(-?\d+)(?:[kK]B)?(?=\s|$)")
_UNRECLAIMABLE = re.compile(r"\s*all_unreclaimable\? (\w+)")
# What a line holds after its last whole value when it was cut: a value without its unit, or part of a key.
_CUT_VALUE = re.compile(r"\s(?P<key>[a-z_]+(?:\(\w+\))?): ?\d+k?$")
_CUT_NAME = re.compile(r"[a-z_]+(?:\(\w*\)?)?:?(?:\d+k)?|[a-z_]+\? ?[yesno]*")
_PLACE = re.compile(r"(?:Node (?P<node>\d+) ?)?(?P<zone>[A-Z]\w*)?:? ?")
_BUDDY = re.compile(r"(\d+)\*(\d+)kB(?: \(([A-Z]+)\))?")
_TOTAL = re.compile(r"= (\d+)kB$")
_HUGE = re.compile(
    r"(?:Node (?P<node>\d+) )?hugepages_total=(?P<total>\d+) hugepages_free=(?P<free>\d+) "
    r"hugepages_surp=(?P<surplus>\d+) hugepages_size=(?P<size>\d+)kB$"
)
_PAGES = re.compile(r"(\d+) (total pagecache pages|pages in swap cache|pages (?:of )?\S.*|[a-z]\w* pages?)$")
_WHOLE_TOTAL = re.compile(
    r"\d+ (?:total pagecache pages|pages (?:in swap cache|RAM|HighMem/MovableOnly|(?:cma )?reserved|hwpoisoned))"
)
_SWAP = re.compile(r"(Free swap|Total swap)\s*=\s*(\d+)kB$")
_SWAP_CACHE = re.compile(r"Swap cache stats: add (\d+), delete (\d+), find (\d+)/(\d+)$")
_LOWMEM = re.compile(r"lowmem_reserve\[\]:((?: \d+)*)$")
_PCP = re.compile(r"CPU\s+\d+: hi:\s+\d+, btch:\s+\d+ usd:\s+\d+(?:\s+Cold: hi:.*)?$")
_SLAB = re.compile(r"(?P<name>\S.*?)\s+(?P<used>\d+)[Kk]B\s+(?P<total>\d+)[Kk]B$")
_SITE = re.compile(r"\s*(?P<size>\d+(?:\.\d+)?)\s?(?P<unit>[kKMGTP]?i?B?)\s+(?P<calls>\d+)\s+(?P<site>\S.*)$")
_UNITS = {"": 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}


class MemInfoReader:
    """Read Mem-Info, one line at a time."""

    def __init__(self) -> None:
        self.line: int | None = None
        self.last: int | None = None
        self.counters: dict[str, int] = {}
        self.counter_lines: dict[str, int] = {}
        self.nodes: list[Node] = []
        self.zones: list[_OpenZone] = []
        self.hugepages: list[HugePages] = []
        self.totals: dict[str, int] = {}
        self.totals_lines: dict[str, int] = {}
        self.slabs: list[SlabRow] = []
        self.allocations: list[AllocationSite] = []
        self.cut = False  # a line ended within a value
        self._table: str | None = None

    def take(self, text: str, line: int) -> bool:
        """Read one line. Return whether it belongs to Mem-Info."""
        taken = self._take(text, line)
        if taken:
            self.last = line
        return taken

    def undo_place(self, line: int) -> None:
        """Drop the node or zone that line number `line` gave: the line is read again, joined with its wrapped rest."""
        self.nodes = [node for node in self.nodes if node.line != line]
        self.zones = [zone for zone in self.zones if zone.line != line]

    def _take(self, text: str, line: int) -> bool:
        if text.startswith("Mem-Info"):
            self.line = line
            self._table = None
            return True
        if self._table is not None and self._take_row(text, line):
            return True
        if text.startswith("Unreclaimable slab info"):
            self._table = "slab"
            return True
        if text.startswith("Memory allocations"):
            self._table = "profile"
            return True
        if text.startswith("lowmem_reserve[]"):
            return self._take_lowmem(text, line)
        if text.startswith("Node ") or (self.line is not None and _looks_like_zone(text)):
            return self._take_place(text, line)
        if text.startswith("CPU ") and _PCP.match(text):
            return True
        if text.startswith("Swap cache stats"):
            return self._take_swap_cache(text, line)
        if text.startswith(("Free swap", "Total swap")):
            match = _SWAP.match(text)
            return match is not None and self._total(match[1].lower().replace(" ", "_") + "_kb", match[2], line)
        if text[:1].isdigit():
            match = _PAGES.match(text)
            return match is not None and self._total(_page_key(match[2]), match[1], line)
        huge = _HUGE.match(text) if text.startswith("hugepages_total") else None
        if huge is not None:
            return self._take_huge(huge, line)
        return self.line is not None and not self.zones and self._take_counters(text, line)

    def _take_counters(self, text: str, line: int) -> bool:
        pairs = _PAIR.findall(text)
        # The machine's counters are in pages, without a unit. A line with kB is not one of theirs.
        if not pairs or "kB" in text or _PAIR.sub("", text).strip():
            return False
        for name, value in pairs:
            self.counters[name] = int(value)
            self.counter_lines[name] = line
        return True

    def _take_place(self, text: str, line: int) -> bool:
        huge = _HUGE.match(text)
        if huge is not None:
            return self._take_huge(huge, line)
        match = _PLACE.match(text)
        assert match is not None  # every part is optional
        node = int(match["node"] or 0)
        rest = text[match.end() :]
        if "kB" in rest and "*" in rest:
            return self._take_buddy(node, match["zone"] or "", rest, line)
        if rest.startswith("per-cpu") and not rest[7:].strip(": "):
            return True
        verdict = _UNRECLAIMABLE.search(rest)
        values = {name: int(value) for name, value in _PAIR.findall(rest)}
        left = _PAIR.sub("", _UNRECLAIMABLE.sub("", rest))
        unit = _CUT_VALUE.search(rest)
        if unit is not None and "kB" in rest:  # all other values have a unit, so this one may have lost digits as well
            values.pop(unit["key"], None)
        if not values or (left.strip() and _CUT_NAME.fullmatch(left.strip()) is None):
            return False
        self.cut = self.cut or bool(left.strip()) or unit is not None
        unreclaimable = None if verdict is None else verdict[1] == "yes"
        if match["zone"] is None:
            self.nodes.append(Node(node, values, unreclaimable, line))
        else:
            self.zones.append(_OpenZone(node, match["zone"], values, unreclaimable, line))
        return True

    def _take_buddy(self, node: int, name: str, rest: str, line: int) -> bool:
        orders = tuple(BuddyOrder(int(n), int(size), types) for n, size, types in _BUDDY.findall(rest))
        total = _TOTAL.search(rest)
        if not orders or total is None or _BUDDY.sub("", rest[: total.start()]).strip():
            return False
        for zone in self.zones:
            if zone.node == node and zone.name == name:
                break
        else:
            zone = _OpenZone(node, name, {}, None, line)
            self.zones.append(zone)
        zone.buddy, zone.buddy_total_kb, zone.buddy_line = orders, int(total[1]), line
        return True

    def _take_lowmem(self, text: str, line: int) -> bool:
        match = _LOWMEM.match(text)
        if match is None:
            return False
        if self.zones:
            self.zones[-1].reserve_line = line
            self.zones[-1].lowmem_reserve = tuple(int(word) for word in match[1].split())
        return True

    def _take_huge(self, match: re.Match[str], line: int) -> bool:
        node = None if match["node"] is None else int(match["node"])
        total, free, surplus, size = (int(match[name]) for name in ("total", "free", "surplus", "size"))
        self.hugepages.append(HugePages(node, total, free, surplus, size, line))
        return True

    def _take_swap_cache(self, text: str, line: int) -> bool:
        match = _SWAP_CACHE.match(text)
        if match is None:
            return False
        for name, value in zip(("add", "delete", "find", "find_total"), match.groups(), strict=True):
            self._total(f"swap_cache_{name}", value, line)
        return True

    def _take_row(self, text: str, line: int) -> bool:
        if self._table == "slab":
            if text.split() == ["Name", "Used", "Total"]:
                return True
            row = _SLAB.match(text)
            if row is not None:
                self.slabs.append(SlabRow(row["name"], int(row["used"]), int(row["total"]), line))
                return True
        else:
            row = _SITE.match(text)
            if row is not None:
                size = int(float(row["size"]) * _UNITS[row["unit"][:1].replace("B", "")])
                self.allocations.append(AllocationSite(size, int(row["calls"]), row["site"], line))
                return True
        self._table = None
        return False

    def _total(self, name: str, value: str, line: int) -> bool:
        self.totals[name] = int(value)
        self.totals_lines[name] = line
        return True


class _OpenZone:
    """A zone that is being read: its counters come first, then lowmem_reserve, and its buddy list much later."""

    def __init__(self, node: int, name: str, values: dict[str, int], unreclaimable: bool | None, line: int) -> None:
        self.node = node
        self.name = name
        self.values = values
        self.unreclaimable = unreclaimable
        self.line = line
        self.lowmem_reserve: tuple[int, ...] = ()
        self.buddy: tuple[BuddyOrder, ...] = ()
        self.buddy_total_kb: int | None = None
        self.buddy_line: int | None = None
        self.reserve_line: int | None = None

    def close(self) -> Zone:
        return Zone(
            node=self.node,
            name=self.name,
            free=self.values.get("free", 0),
            min=self.values.get("min", 0),
            low=self.values.get("low", 0),
            high=self.values.get("high", 0),
            values=self.values,
            all_unreclaimable=self.unreclaimable,
            lowmem_reserve=self.lowmem_reserve,
            buddy=self.buddy,
            buddy_total_kb=self.buddy_total_kb,
            line=self.line,
            buddy_line=self.buddy_line,
            reserve_line=self.reserve_line,
        )


def _looks_like_zone(text: str) -> bool:
    """Return whether a line is a zone's on a kernel without NUMA, which prints no `Node 0` before the zone's name."""
    return text.startswith(("DMA", "Normal", "HighMem", "Movable", "Device"))


def is_whole_total(text: str) -> bool:
    """Return whether a line is a whole total of pages: nothing of it can be on the next line.

    show_mem() prints totals (mm/show_mem.c, lib/show_mem.c before).
    """
    return _WHOLE_TOTAL.fullmatch(text) is not None


def _page_key(words: str) -> str:
    """Return the key of a total: pages_ram for `pages RAM`, total_pagecache_pages for `total pagecache pages`."""
    return re.sub(r"\W+", "_", words).strip("_").lower()
