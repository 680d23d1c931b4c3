# SPDX-License-Identifier: MIT
"""Read the kernel's own log from the memory of a stopped guest.

A panic ends the guest before its agent can relay the last lines of /dev/kmsg, and what the serial port shows may be a
program's text. Each record of the printk ring names its writer, as those of /dev/kmsg do.

The kernel describes the ring in vmcoreinfo (log_buf_vmcoreinfo_setup(), kernel/printk/printk.c, since 5.10). QEMU adds
vmcoreinfo to every dump of a guest that has loaded qemu_fw_cfg. The ring: kernel/printk/printk_ringbuffer.h and .c.
"""

from __future__ import annotations

import asyncio
import re
import struct
import tempfile
from collections.abc import Awaitable, Callable, Mapping

from rig.errors import RigError
from rig.machine.qmp import Monitor

__all__ = ["kernel_log", "parse_vmcoreinfo", "read_ring", "values_of"]

MOST_RECORDS = 2000
"""The newest records are read. An OOM report with its table of tasks and a panic have some 150."""
WORDS_AT_ONCE = 1024
"""Words of 8 bytes in one command of the monitor. Its answer of 31 kB is below the limit of qemu.qmp (64 KiB)."""
WORD = re.compile(r"0x([0-9a-f]{16})\b")
NOTE = b"VMCOREINFO\0"
ID_MASK = (1 << 62) - 1
WRITTEN = (1, 2)
"""desc_committed and desc_finalized (enum desc_state), the two highest bits of a descriptor's state."""
LONGEST_TEXT = 4096
"""Bytes: above LOG_LINE_MAX and PRINTK_MESSAGE_MAX (kernel/printk/internal.h)."""
MOST_BITS = 28
"""Bound on the sizes that the guest's memory gives, as powers of two."""

Read = Callable[[int, int], Awaitable[bytes]]
"""Return that many bytes at a virtual address of the kernel's."""


async def kernel_log(monitor: Monitor) -> tuple[str, ...] | None:
    """Return the newest records of the stopped guest's printk ring, in the format of /dev/kmsg.

    Returns None for a kernel that does not describe its ring, and where its memory cannot be read.
    """
    try:
        return await read_ring(values_of(await _vmcoreinfo(monitor)), _reader(monitor))
    except (RigError, OSError, KeyError, ValueError, IndexError, struct.error):
        return None


def parse_vmcoreinfo(dump: bytes) -> str:
    """Return the text of the VMCOREINFO note in an ELF core; empty if there is none.

    A note is: sizes of name and content, a type, the name, the content, each padded to 4 bytes (elf(5)).
    """
    at = dump.find(NOTE)
    if at < 12:
        return ""
    _, size, _ = struct.unpack_from("<III", dump, at - 12)
    begin = at + (len(NOTE) + 3) // 4 * 4
    return dump[begin : begin + size].split(b"\0")[0].decode("ascii", errors="replace")


async def read_ring(info: Mapping[str, int], read: Read) -> tuple[str, ...]:
    """Return the newest records, oldest first.

    info: the values of vmcoreinfo by name, such as OFFSET(printk_info.seq).
    """

    def field(data: bytes, of: str, name: str, kind: str = "<Q") -> int:
        return int(struct.unpack_from(kind, data, info[f"OFFSET({of}.{name})"])[0])

    ring_at = struct.unpack("<Q", await read(info["SYMBOL(prb)"], 8))[0]
    ring = await read(ring_at, info["SIZE(printk_ringbuffer)"])
    descs = ring[info["OFFSET(printk_ringbuffer.desc_ring)"] :]
    texts = ring[info["OFFSET(printk_ringbuffer.text_data_ring)"] :]
    count_bits, size_bits = (
        field(descs, "prb_desc_ring", "count_bits", "<I"),
        field(texts, "prb_data_ring", "size_bits", "<I"),
    )
    if not 0 < count_bits <= MOST_BITS or not 0 < size_bits <= MOST_BITS:
        raise ValueError
    count, size = 1 << count_bits, 1 << size_bits
    head = field(descs, "prb_desc_ring", "head_id") & ID_MASK
    ids = range(head - min(count, MOST_RECORDS) + 1, head + 1)
    desc_size, info_size = info["SIZE(prb_desc)"], info["SIZE(printk_info)"]
    all_descs = await _of_ring(read, field(descs, "prb_desc_ring", "descs"), ids, count, desc_size)
    all_infos = await _of_ring(read, field(descs, "prb_desc_ring", "infos"), ids, count, info_size)
    places: list[tuple[bytes, int]] = []
    for at, number in enumerate(ids):
        desc = all_descs[at * desc_size : (at + 1) * desc_size]
        state = field(desc, "prb_desc", "state_var")
        if state >> 62 not in WRITTEN or state & ID_MASK != number & ID_MASK:
            continue
        block = desc[info["OFFSET(prb_desc.text_blk_lpos)"] :]
        begin, end = field(block, "prb_data_blk_lpos", "begin"), field(block, "prb_data_blk_lpos", "next")
        # LPOS_DATALESS(). A block that would not fit at the end of the ring is at its begin (get_data()).
        wraps = begin >> size_bits != end >> size_bits and end % size
        place = -1 if begin & 1 else 0 if wraps else begin % size
        places.append((all_infos[at * info_size : (at + 1) * info_size], place))
    data = await _data(read, field(texts, "prb_data_ring", "data"), size, places)
    length_at = info["OFFSET(printk_info.text_len)"]
    lines = []
    for record, place in places:
        # struct printk_info: text_len, facility, then flags in 5 bits and level in 3.
        length, facility, flags = struct.unpack_from("<HBB", record, length_at)
        text = b"" if place < 0 else data(place + 8, min(length, LONGEST_TEXT))
        seq, microseconds = field(record, "printk_info", "seq"), field(record, "printk_info", "ts_nsec") // 1000
        lines.append(f"{facility << 3 | flags >> 5},{seq},{microseconds},-;{_escaped(text)}")
    return tuple(lines)


async def _of_ring(read: Read, start: int, ids: range, count: int, size: int) -> bytes:
    """Return the elements of a ring of `count` elements of `size` bytes, in the order of their ids."""
    first, last = ids[0] % count, ids[-1] % count
    if first <= last:
        return await read(start + first * size, (last - first + 1) * size)
    end = await read(start + first * size, (count - first) * size)
    return end + await read(start, (last + 1) * size)


async def _data(read: Read, start: int, size: int, places: list[tuple[bytes, int]]) -> Callable[[int, int], bytes]:
    """Return a function that gives bytes of the ring's texts, of which only the pages are read that have a record."""
    page = 4096
    wanted = {
        number
        for _, place in places
        if place >= 0
        for number in range(place // page, min(place + 8 + LONGEST_TEXT, size) // page + 1)
        if number * page < size
    }
    pages = {number: await read(start + number * page, min(page, size - number * page)) for number in sorted(wanted)}
    empty = bytes(page)

    def get(at: int, length: int) -> bytes:
        found = b"".join(pages.get(number, empty) for number in range(at // page, (at + length) // page + 1))
        return found[at % page : at % page + length]

    return get


def _escaped(text: bytes) -> str:
    """Return a text as /dev/kmsg gives it (append_char() and msg_add_ext_text(), kernel/printk/printk.c)."""
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in text)


def values_of(text: str) -> dict[str, int]:
    """Return the numbers of vmcoreinfo. Symbols are hexadecimal, all others decimal (VMCOREINFO_SYMBOL(), …)."""
    values = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        if re.fullmatch(r"[0-9a-f]+" if name.startswith("SYMBOL(") else r"\d+", value):
            values[name] = int(value, 16 if name.startswith("SYMBOL(") else 10)
    return values


async def _vmcoreinfo(monitor: Monitor) -> str:
    """Return vmcoreinfo from a dump of one page, which has all the notes of a dump."""
    with tempfile.TemporaryFile() as file:
        await monitor.send_fd("notes", file.fileno())
        await monitor.execute("dump-guest-memory", paging=False, protocol="fd:notes", begin=0, length=4096)
        file.seek(0)
        return parse_vmcoreinfo(await asyncio.to_thread(file.read, 1 << 20))


def _reader(monitor: Monitor) -> Read:
    async def read(address: int, size: int) -> bytes:
        start = address & ~7
        words = (address + size - start + 7) // 8
        found = bytearray()
        for done in range(0, words, WORDS_AT_ONCE):
            asked = min(WORDS_AT_ONCE, words - done)
            answer = await monitor.human(f"x /{asked}gx {start + done * 8:#x}")
            values = [int(word, 16) for line in answer.splitlines() for word in WORD.findall(line.partition(":")[2])]
            if len(values) != asked:
                raise RigError(f"QEMU cannot read the guest's memory at {start + done * 8:#x}", where="QMP")
            found += struct.pack(f"<{asked}Q", *values)
        return bytes(found[address - start : address - start + size])

    return read
