# SPDX-License-Identifier: MIT
"""Read an untrusted tar stream member by member, in bounded memory.

The standard library's tarfile reads an extended header as a whole, and 25 kB of zstd can hold a header of gigabytes.
This reader limits the size of each header. It accepts only the members that rig writes: regular files with ustar or pax
headers (POSIX.1-2001, pax interchange format).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

__all__ = ["BadArchive", "Member", "read_members"]

BLOCK = tarfile.BLOCKSIZE
LARGEST_HEADER = 8 << 10
"""Limit in bytes on a pax header: it holds a path of at most LONGEST_NAME and a few timestamps."""
LONGEST_NAME = 512
PIECE = 1 << 20


class BadArchive(Exception):
    """The stream is not an archive that rig wrote. The exception's text says why."""


@dataclass(frozen=True)
class Member:
    """A regular file of the archive.

    name: the name as the archive spells it, unchecked.
    size: bytes of the content.
    """

    name: str
    size: int
    _stream: IO[bytes]

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in pieces of at most 1 MiB. The caller must exhaust it before it takes the next member."""
        left = self.size
        while left:
            data = _exactly(self._stream, min(left, PIECE))
            left -= len(data)
            yield data
        _exactly(self._stream, -self.size % BLOCK)


def read_members(stream: IO[bytes]) -> Iterator[Member]:
    """Yield the members in order. Raises BadArchive for a stream that rig does not write, or that ends early."""
    extended: dict[str, str] = {}
    while True:
        block = _exactly(stream, BLOCK)
        if not block.strip(b"\0"):
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise BadArchive(f"a header cannot be read: {error}") from None
        if header.type == tarfile.XHDTYPE:
            extended = _pax_records(stream, header.size)
            continue
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise BadArchive("it holds something that is not a regular file")
        size = _size(extended.get("size"), header.size)
        name = extended.get("path", header.name)
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise BadArchive("the name of a member is too long, or has characters that cannot be printed")
        extended = {}
        yield Member(name, size, stream)


def _pax_records(stream: IO[bytes], size: int) -> dict[str, str]:
    """Read an extended header: records `LENGTH KEYWORD=VALUE\\n`, where LENGTH counts the whole record."""
    if not 0 < size <= LARGEST_HEADER:
        raise BadArchive(f"an extended header has {size} bytes; {LARGEST_HEADER} are the most")
    data = _exactly(stream, size)
    _exactly(stream, -size % BLOCK)
    records: dict[str, str] = {}
    while data:
        digits, _, _ = data.partition(b" ")
        if not (digits.isdigit() and len(digits) <= 5 and len(digits) < int(digits) <= len(data)):
            raise BadArchive("an extended header cannot be read")
        record, data = data[len(digits) + 1 : int(digits)], data[int(digits) :]
        keyword, equals, value = record.removesuffix(b"\n").partition(b"=")
        if not equals:
            raise BadArchive("an extended header cannot be read")
        records[keyword.decode(errors="replace")] = value.decode(errors="replace")
    return records


def _size(extended: str | None, plain: int) -> int:
    """Return a member's size: from the extended header if it has one, for ustar's size field ends at 8 GiB."""
    if extended is None:
        size = plain
    elif extended.isascii() and extended.isdigit() and len(extended) <= 18:
        size = int(extended)
    else:
        raise BadArchive("the size of a member is not a number")
    if size < 0:
        raise BadArchive("the size of a member is negative")
    return size


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        data = stream.read(size)
        if not data:
            raise BadArchive("it is cut short")
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
