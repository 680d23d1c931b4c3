# SPDX-License-Identifier: MIT
"""Copy and hash sparse files, such as a guest's memory, without reading their zeros.

The digest differs from sha256sum's, because hashing half a gigabyte of zeros takes longer than restoring the guest. It
is a SHA-256 over the offset and content of each block of BLOCK bytes that is not all zeros, and then over the file's
size. It does not depend on whether zeros are stored on the disk or are holes.

A branch point's memory is saved while a user waits, and SHA-256 takes longer than all the rest of saving it. Its digest
is therefore a SHA-256 over the CRC-32 of each block, which is five times as fast. It shows damage; it is no protection
against a file that somebody made to have that digest.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from rig.whole_file import write_all

__all__ = [
    "BLOCK", "PAGES", "SUFFIX", "copy_pages", "copy_sparse", "digest_pages", "digest_sparse", "fill_sparse",
    "write_sparse",
]  # fmt: skip

BLOCK = 1 << 16
SUFFIX = ".sparse"
"""A file whose name ends so has the digest of digest_sparse()."""
PAGES = ".pages"
"""A file whose name ends so has the digest of digest_pages()."""
ZEROS = bytes(BLOCK)


def _blocks(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, content) of each block that is not all zeros, without reading holes."""
    size = os.fstat(descriptor).st_size
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            # ENXIO: no data at or after this offset (lseek(2)).
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        at = start // BLOCK * BLOCK
        while at < end:
            data = os.pread(descriptor, BLOCK, at)
            if not data:
                return
            if data != ZEROS[: len(data)]:
                yield at, data
            at += BLOCK


def copy_sparse(source: int, target: Path) -> None:
    """Copy an open file to a path. Blocks of zeros become holes."""
    with target.open("wb") as file:
        file.truncate(os.fstat(source).st_size)
        for at, data in _blocks(source):
            write_all(file.fileno(), data, at)


def fill_sparse(source: Path, target: int) -> None:
    """Copy a file into an open file that is all zeros, such as a new memfd."""
    with source.open("rb") as file:
        os.ftruncate(target, os.fstat(file.fileno()).st_size)
        for at, data in _blocks(file.fileno()):
            write_all(target, data, at)


def copy_pages(source: int, target: Path) -> str:
    """Copy an open file to a path, with holes for blocks of zeros, and return the copy's digest_pages()."""
    digest = sha256()
    with target.open("wb") as file:
        size = os.fstat(source).st_size
        file.truncate(size)
        for at, data in _blocks(source):
            write_all(file.fileno(), data, at)
            digest.update(struct.pack("<QI", at, zlib.crc32(data)))
    digest.update(struct.pack("<Q", size))
    return digest.hexdigest()


def digest_pages(path: Path) -> str:
    """Return the digest of a branch point's memory, as the module's docstring defines it, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        for at, data in _blocks(file.fileno()):
            digest.update(struct.pack("<QI", at, zlib.crc32(data)))
        digest.update(struct.pack("<Q", os.fstat(file.fileno()).st_size))
    return digest.hexdigest()


def write_sparse(target: int, data: bytes) -> int:
    """Append data to an open file, with holes for blocks of zeros, and return how many bytes were written.

    Trailing zeros do not extend the file, so the caller sets its size.
    target: a descriptor whose file offset is a multiple of BLOCK.
    """
    written = 0
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        if block == ZEROS[: len(block)]:
            os.lseek(target, len(block), os.SEEK_CUR)
        else:
            write_all(target, block)
            written += len(block)
    return written


def digest_sparse(path: Path) -> str:
    """Return the digest of a sparse file, as the module's docstring defines it, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        for at, data in _blocks(file.fileno()):
            digest.update(struct.pack("<Q", at))
            digest.update(data)
        digest.update(struct.pack("<Q", os.fstat(file.fileno()).st_size))
    return digest.hexdigest()
