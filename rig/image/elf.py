# SPDX-License-Identifier: MIT
"""Read a kernel's build id, section names and symbol addresses from an ELF file (elf(5))."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from rig.errors import RigError

__all__ = ["build_id", "notes", "section_names", "symbol_addresses"]

NT_GNU_BUILD_ID = 3
PT_NOTE = 4
SHT_SYMTAB = 2
Bytes = bytes | mmap.mmap


def _header(data: Bytes, where: str | Path) -> tuple[int, ...]:
    if data[:6] != b"\x7fELF\x02\x01":
        raise RigError(
            "is not a 64-bit little-endian ELF file", where=where, remedy="name a vmlinux with debug symbols"
        )
    try:
        return struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
    except struct.error:
        raise RigError("is truncated in its header", where=where) from None


def notes(data: Bytes, where: str | Path) -> Iterator[tuple[bytes, int, bytes]]:
    """Yield name, type and content of each note of an ELF image. Raises RigError when it is not ELF."""
    header = _header(data, where)
    offset, size, count = header[4], header[8], header[9]
    try:
        for index in range(count):
            kind, _, at, _, _, length = struct.unpack_from("<IIQQQQ", data, offset + index * size)
            if kind == PT_NOTE:
                yield from _notes_of(data[at : at + length])
    except struct.error:
        raise RigError("its program headers are damaged", where=where) from None


def _notes_of(segment: bytes) -> Iterator[tuple[bytes, int, bytes]]:
    at = 0
    while at + 12 <= len(segment):
        name_size, size, kind = struct.unpack_from("<III", segment, at)
        start = at + 12 + (name_size + 3 & ~3)
        yield segment[at + 12 : at + 12 + name_size].rstrip(b"\0"), kind, segment[start : start + size]
        at = start + (size + 3 & ~3)


def build_id(data: Bytes, where: str | Path) -> str | None:
    """Return the build id (hex) from an ELF image's notes, or None. Raises RigError when it is not ELF."""
    found = (content for name, kind, content in notes(data, where) if kind == NT_GNU_BUILD_ID and name == b"GNU")
    return next((content.hex() for content in found), None)


def section_names(data: Bytes, where: str | Path) -> tuple[str, ...]:
    """Return the names of an ELF file's sections. Raises RigError for a file that is not ELF or is damaged."""
    header = _header(data, where)
    offset, size, count, names = header[5], header[10], header[11], header[12]
    try:
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + index * size) for index in range(count)]
        strings = data[sections[names][4] : sections[names][4] + sections[names][5]] if sections else b""
    except (struct.error, IndexError):
        raise RigError("its section headers are damaged", where=where) from None
    return tuple(strings[at[0] :].split(b"\0", 1)[0].decode(errors="replace") for at in sections)


def symbol_addresses(path: Path, names: Iterable[str]) -> dict[str, int]:
    """Return name -> address for those names that the file's symbol table has.

    A name also matches the symbol with a suffix of the compiler's (`.constprop.0`, `.isra.0`).
    """
    wanted = {name.encode() for name in names}
    found: dict[str, int] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        header = _header(data, path)
        offset, size, count = header[5], header[10], header[11]
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, offset + index * size) for index in range(count)]
        for section in sections:
            if section[1] != SHT_SYMTAB:
                continue
            table = data[section[4] : section[4] + section[5]]
            strings = sections[section[6]]
            texts = data[strings[4] : strings[4] + strings[5]]
            for name_at, _, _, index, value, _ in struct.iter_unpack("<IBBHQQ", table):
                if not index:
                    continue
                name = texts[name_at : texts.index(b"\0", name_at)]
                base = name.split(b".", 1)[0]
                if name in wanted:
                    found[name.decode()] = value
                elif base in wanted and b".cold" not in name and b".part" not in name:
                    found.setdefault(base.decode(), value)
    return found
