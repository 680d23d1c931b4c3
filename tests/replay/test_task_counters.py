# SPDX-License-Identifier: MIT
"""The pages of a process, from each form that its counters have had in the kernel."""

from __future__ import annotations

import struct

import drgn
import pytest

from rig.replay.postmortem.tasks import counters

KINDS = ("MM_FILEPAGES", "MM_ANONPAGES", "MM_SWAPENTS", "MM_SHMEMPAGES")
SHARED = (64, 51_200, 0, -3)
HELD_BACK = ((14, 11, 0, 1), (8, -5, 0, 0))
"""Pages by type: in the counters that all CPUs share, and what each of two CPUs holds back."""

# Where the memory below has what it is named after. The per-CPU variables of CPU n are at AREA + n * DISTANCE.
MM, OFFSETS, ONLINE, AREA, DISTANCE = 0x1000, 0x2000, 0x3000, 0x4000, 0x1000


def _mm(rss_stat: str, *functions: str) -> drgn.Object:
    """Return a struct mm_struct in the memory of a kernel of two CPUs.

    rss_stat: the form of its counters, "atomic" or "percpu".
    functions: names that the kernel's debug information has.
    """
    program = drgn.Program(drgn.Platform(drgn.Architecture.X86_64))
    signed, narrow, word = (program.int_type(*each) for each in (("s64", 8, True), ("s32", 4, True), ("u64", 8, False)))

    def structure(tag: str | None, *members: tuple[str, drgn.Type]) -> drgn.Type:
        at, placed = 0, []
        for name, kind in members:
            placed.append(drgn.TypeMember(kind, name, at * 8))
            at += drgn.sizeof(kind)
        return program.struct_type(tag, at, placed)

    if rss_stat == "atomic":
        stat = structure("mm_rss_stat", ("count", program.array_type(structure(None, ("counter", signed)), 4)))
        memory = {MM: struct.pack("<4q", *SHARED)}
    else:
        counter = structure("percpu_counter", ("count", signed), ("counters", program.pointer_type(narrow)))
        stat = program.array_type(counter, 4)
        memory = {
            MM: b"".join(struct.pack("<qQ", count, 4 * index) for index, count in enumerate(SHARED)),
            OFFSETS: struct.pack("<2Q", AREA, AREA + DISTANCE),
            ONLINE: struct.pack("<Q", 0b11),
            AREA: struct.pack("<4i", *HELD_BACK[0]),
            AREA + DISTANCE: struct.pack("<4i", *HELD_BACK[1]),
        }
    for address, data in memory.items():
        program.add_memory_segment(
            address, len(data), lambda at, count, offset, physical, data=data: data[offset : offset + count]
        )
    known = {name: drgn.Object(program, narrow, index) for index, name in enumerate(KINDS)}
    known["nr_cpu_ids"] = drgn.Object(program, narrow, 2)
    known["__per_cpu_offset"] = drgn.Object(program, program.array_type(word, 2), address=OFFSETS)
    mask = structure("cpumask", ("bits", program.array_type(word, 1)))
    known["__cpu_online_mask"] = drgn.Object(program, mask, address=ONLINE)
    known |= {name: drgn.Object(program, program.function_type(word, ()), address=AREA) for name in functions}
    program.register_object_finder("memory", lambda program, name, flags, file: known.get(name), enable_index=0)
    return drgn.Object(program, structure("mm_struct", ("rss_stat", stat)), address=MM)


@pytest.mark.parametrize(
    ("mm", "pages"),
    [
        pytest.param(("atomic",), (64, 51_200, 0, 0), id="5.10"),
        pytest.param(("percpu", "get_mm_rss"), (64, 51_200, 0, 0), id="6.2"),
        pytest.param(("percpu", "get_mm_rss", "get_mm_rss_sum"), (86, 51_206, 0, 0), id="7.0"),
    ],
)
def test_counters_are_those_that_the_oom_killer_of_the_kernel_reads(
    mm: tuple[str, ...], pages: tuple[int, ...]
) -> None:
    assert tuple(counters(_mm(*mm)).values()) == pages
