# SPDX-License-Identifier: MIT
"""The kernel's log is read from the memory of a stopped guest, by the layout that vmcoreinfo describes."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

import pytest

from rig.errors import RigError
from rig.machine.printk_ring import parse_vmcoreinfo, read_ring, values_of

PRB, RING, DESCS, INFOS, DATA = 0x1000, 0x2000, 0x10000, 0x20000, 0x40000
COUNT_BITS, SIZE_BITS = 3, 8
INFO = f"""\
OSRELEASE=6.1.0
SYMBOL(prb)=ffff{PRB:012x}
SIZE(printk_ringbuffer)=80
OFFSET(printk_ringbuffer.desc_ring)=0
OFFSET(printk_ringbuffer.text_data_ring)=48
OFFSET(printk_ringbuffer.fail)=72
SIZE(prb_desc_ring)=48
OFFSET(prb_desc_ring.count_bits)=0
OFFSET(prb_desc_ring.descs)=8
OFFSET(prb_desc_ring.infos)=16
OFFSET(prb_desc_ring.head_id)=24
SIZE(prb_desc)=24
OFFSET(prb_desc.state_var)=0
OFFSET(prb_desc.text_blk_lpos)=8
OFFSET(prb_data_blk_lpos.begin)=0
OFFSET(prb_data_blk_lpos.next)=8
SIZE(printk_info)=88
OFFSET(printk_info.seq)=0
OFFSET(printk_info.ts_nsec)=8
OFFSET(printk_info.text_len)=16
SIZE(prb_data_ring)=24
OFFSET(prb_data_ring.size_bits)=0
OFFSET(prb_data_ring.data)=8
"""
"""As Linux 6.1 prints it, without what is not read."""


class Memory:
    """A guest's memory with a ring of 8 records and 256 bytes of text."""

    def __init__(self) -> None:
        self.bytes = bytearray(0x50000)
        self.head, self.lpos = (1 << 62) - 3, 0
        base = 0xFFFF << 48
        struct.pack_into("<Q", self.bytes, PRB, base + RING)
        struct.pack_into("<I4xQQ", self.bytes, RING, COUNT_BITS, base + DESCS, base + INFOS)
        struct.pack_into("<I4xQ", self.bytes, RING + 48, SIZE_BITS, base + DATA)

    def print(self, seq: int, text: bytes, *, facility: int = 0, level: int = 4, state: int = 2) -> None:
        """Add a record as prb_reserve() does: a block that does not fit at the end is at the begin."""
        self.head = (self.head + 1) & ((1 << 62) - 1)
        size, begin = (8 + len(text) + 7) // 8 * 8, self.lpos
        end = begin + size
        wraps = (end - 1) >> SIZE_BITS != begin >> SIZE_BITS
        if wraps:
            end = (end >> SIZE_BITS << SIZE_BITS) + size
        place = 0 if wraps else begin % (1 << SIZE_BITS)
        self.bytes[DATA + place + 8 : DATA + place + 8 + len(text)] = text
        self.lpos = end
        index = self.head % (1 << COUNT_BITS)
        if not text:
            begin = end = 3
        struct.pack_into("<QQQ", self.bytes, DESCS + index * 24, state << 62 | self.head, begin, end)
        fields = (seq, seq * 1_000_000_000, len(text), facility, level << 5)
        struct.pack_into("<QQHBB", self.bytes, INFOS + index * 88, *fields)
        struct.pack_into("<Q", self.bytes, RING + 24, self.head)

    async def read(self, address: int, size: int) -> bytes:
        at = address & ((1 << 48) - 1)
        if at + size > len(self.bytes):
            raise RigError("QEMU cannot read the guest's memory", where="QMP")
        return bytes(self.bytes[at : at + size])

    def lines(self) -> Sequence[str]:
        return asyncio.run(read_ring(values_of(INFO), self.read))


def test_records_have_their_writer_number_time_and_text() -> None:
    memory = Memory()
    memory.print(7, b"Kernel panic - not syncing", level=0)
    memory.print(8, b"rig: mark", facility=1, level=5)

    assert memory.lines() == ("0,7,7000000,-;Kernel panic - not syncing", "13,8,8000000,-;rig: mark")


def test_ring_that_has_gone_round_gives_its_newest_records_in_order() -> None:
    memory = Memory()
    for seq in range(30):
        memory.print(seq, b"line %d of the kernel" % seq)

    assert memory.lines() == tuple(f"4,{seq},{seq}000000,-;line {seq} of the kernel" for seq in range(22, 30))


def test_record_that_is_being_written_is_left_out() -> None:
    memory = Memory()
    memory.print(1, b"whole")
    memory.print(2, b"half", state=0)

    assert memory.lines() == ("4,1,1000000,-;whole",)


def test_unprintable_bytes_are_escaped_as_in_dev_kmsg() -> None:
    memory = Memory()
    memory.print(1, b"a\\b\n\x1b[2J\xff")
    memory.print(2, b"")

    assert memory.lines() == ("4,1,1000000,-;a\\x5cb\\x0a\\x1b[2J\\xff", "4,2,2000000,-;")


@pytest.mark.parametrize("value", [0, 29, 0xFFFFFFFF])
def test_sizes_that_no_ring_has_are_refused(value: int) -> None:
    memory = Memory()
    memory.print(1, b"text")
    struct.pack_into("<I", memory.bytes, RING, value)

    with pytest.raises(ValueError):  # noqa: PT011  # it has no text: what is read is a guest's
        memory.lines()


def test_note_is_found_in_a_dump() -> None:
    text = b"OSRELEASE=6.1.0\nSYMBOL(prb)=ffffffff81e5c1e0\nNUMBER(phys_base)=0\n"
    note = struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text

    assert values_of(parse_vmcoreinfo(b"\x7fELF" + bytes(60) + note + bytes(40))) == {
        "SYMBOL(prb)": 0xFFFFFFFF81E5C1E0,
        "NUMBER(phys_base)": 0,
    }


def test_dump_without_the_note_has_no_values() -> None:
    assert parse_vmcoreinfo(b"\x7fELF" + bytes(100)) == ""
