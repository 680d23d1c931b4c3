# SPDX-License-Identifier: MIT
"""Find out which processes map each page of an array: walk their page tables and read the frames' map counts.

The page tables are those of x86-64 with four or five levels (Documentation/arch/x86/x86_64/mm.rst).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rig.run.postmortem import ArrayPages, PageRun, PageState
from rig.run.records import Record

__all__ = ["Region", "read_arrays", "regions_of"]

PAGE = 4096
ENTRIES = 512
PRESENT = 1
HUGE = 1 << 7
FRAME_MASK = 0x000FFFFFFFFFF000
# The fixed address of the struct page array in a kernel without CONFIG_DYNAMIC_MEMORY_LAYOUT. Such a kernel uses
# four levels (__VMEMMAP_BASE_L4 of arch/x86/include/asm/pgtable_64_types.h).
VMEMMAP_BASE = 0xFFFFEA0000000000
SWAPPED = -1
ABSENT = 0


@dataclass(frozen=True)
class Region:
    """An array that a program announced with the line `region NAME START LENGTH` on its standard output."""

    name: str
    pid: int
    start: int
    length: int


def regions_of(lines: Iterable[Record]) -> tuple[Region, ...]:
    """Return the arrays that the programs announced; the last line about an array counts."""
    found: dict[tuple[str, int], Region] = {}
    for line in lines:
        words = str(line.get("text", "")).split()
        pid = line.get("pid")
        if len(words) != 4 or words[0] != "region" or not isinstance(pid, int):
            continue
        try:
            start, length = int(words[2], 16), int(words[3], 16)
        except ValueError:
            continue
        if 0 < length <= 1 << 36 and start + length < 1 << 57:
            found[words[1], pid] = Region(words[1], pid, start, length)
    return tuple(found.values())


def read_arrays(program: Any, regions: Iterable[Region], *, with_frames: bool = False) -> tuple[ArrayPages, ...]:
    """Return the pages of each region in the process that announced it and in that process's descendants."""
    arrays = []
    for region in regions:
        family = [task for task in _family(program, region.pid) if _has(task.mm, region.start)]
        if family:
            arrays.append(_array(program, region, family, with_frames))
    return tuple(arrays)


def _family(program: Any, pid: int) -> Iterator[Any]:
    from drgn.helpers.linux.pid import for_each_task

    for task in for_each_task(program):
        if task.pid != task.tgid or not task.mm:
            continue
        above = task
        while above.pid and above.pid != pid:
            above = above.real_parent
        if above.pid == pid:
            yield task


def _has(mm: Any, address: int) -> bool:
    from drgn.helpers.linux.mm import vma_find

    return bool(vma_find(mm, address))


def _array(program: Any, region: Region, family: list[Any], with_frames: bool) -> ArrayPages:
    first = region.start & ~(PAGE - 1)
    count = -(-(region.start + region.length - first) // PAGE)
    pids = tuple(int(task.pid) for task in family)
    frames = [list(_frames(program, task.mm, first, count)) for task in family]
    counts = _map_counts(program, {frame for each in frames for frame in each if frame > 0})
    return ArrayPages(
        name=region.name,
        start=first,
        length=region.length,
        page_size=PAGE,
        pids=pids,
        names=tuple(task.comm.string_().decode(errors="replace") for task in family),
        runs=tuple(_runs(pids, frames, counts)),
        frames=tuple(tuple(max(0, frame) for frame in each) for each in frames) if with_frames else (),
    )


def _runs(pids: tuple[int, ...], frames: list[list[int]], counts: Mapping[int, int]) -> Iterator[PageRun]:
    first = 0
    for (states, groups, count), pages in groupby(_described(pids, page, counts) for page in zip(*frames, strict=True)):
        length = sum(1 for _ in pages)
        yield PageRun(first=first, count=length, states=states, groups=groups, map_count=count)
        first += length


Described = tuple[tuple[PageState, ...], tuple[tuple[int, ...], ...], int | None]


def _described(pids: tuple[int, ...], page: tuple[int, ...], counts: Mapping[int, int]) -> Described:
    states: list[PageState] = []
    users: dict[int, list[int]] = {}
    for pid, frame in zip(pids, page, strict=True):
        if frame > 0:
            users.setdefault(frame, []).append(pid)
    for frame in page:
        if frame == ABSENT:
            states.append("absent")
        elif frame == SWAPPED:
            states.append("swapped")
        else:
            # A process outside this family may map the frame too, which only the map count shows.
            states.append("shared" if max(len(users[frame]), counts.get(frame, 1)) > 1 else "own")
    known = {counts.get(frame) for frame in users}
    return tuple(states), tuple(map(tuple, users.values())), known.pop() if len(known) == 1 else None


def _frames(program: Any, mm: Any, start: int, count: int) -> Iterator[int]:
    """Yield the frame number of each page, ABSENT or SWAPPED, from the page tables of mm."""
    from drgn.helpers.linux.mm import virt_to_phys

    levels = 5 if _five_levels(program) else 4
    top = int(virt_to_phys(mm.pgd))
    tables: dict[int, tuple[int, ...]] = {}

    def table(at: int) -> tuple[int, ...]:
        if at not in tables:
            tables[at] = struct.unpack(f"<{ENTRIES}Q", program.read(at, PAGE, physical=True))
        return tables[at]

    for address in range(start, start + count * PAGE, PAGE):
        at, frame = top, ABSENT
        for level in range(levels, 0, -1):
            shift = 12 + 9 * (level - 1)
            entry = table(at)[address >> shift & (ENTRIES - 1)]
            if not entry & PRESENT:
                # A PTE that is neither present nor zero holds a swap entry (arch/x86/include/asm/pgtable_64.h).
                frame = SWAPPED if level == 1 and entry else ABSENT
                break
            if level == 1 or entry & HUGE:
                base = (entry & FRAME_MASK) >> 12 & ~((1 << shift - 12) - 1)
                frame = base + (address >> 12 & (1 << shift - 12) - 1)
                break
            at = entry & FRAME_MASK
        yield frame


def _five_levels(program: Any) -> bool:
    try:
        return bool(program["__pgtable_l5_enabled"])
    except KeyError:
        return False


def _page_structures(program: Any) -> int:
    """Return the address of the first struct page."""
    try:
        return int(program["vmemmap_base"])
    except KeyError:
        return VMEMMAP_BASE


def _map_counts(program: Any, frames: set[int]) -> dict[int, int]:
    """Return how many page table entries map each small page. struct page stores that count minus one in _mapcount."""
    page = program.type("struct page")
    size, at = page.size, page.member("_mapcount").offset
    base = _page_structures(program)
    found: dict[int, int] = {}
    # One read for 1024 page structs is faster than a read for each, and most frames of an array are neighbours.
    for block, members in groupby(sorted(frames), key=lambda frame: frame >> 10):
        data = program.read(base + (block << 10) * size, size << 10)
        for frame in members:
            (count,) = struct.unpack_from("<i", data, (frame & 1023) * size + at)
            found[frame] = count + 1
    return found
