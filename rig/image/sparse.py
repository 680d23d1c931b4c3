# SPDX-License-Identifier: MIT
"""Files that are mostly zeros, as a guest's memory is: copied without them, and hashed without them.

Their digest is not that of sha256sum: hashing half a gigabyte of zeros takes longer than restoring the guest. It is
the SHA-256 over each block of BLOCK bytes that is not all zeros, with its offset before it, and the size last; so it
is the same whether the zeros are on the disk or are holes.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

__all__ = ["BLOCK", "SUFFIX", "copy_sparse", "digest_sparse", "write_sparse"]

BLOCK = 1 << 16
SUFFIX = ".sparse"
"""A file of that name is hashed so."""
ZEROS = bytes(BLOCK)


def _blocks(descriptor: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, content) of each block that is not all zeros; holes are not read."""
    size = os.fstat(descriptor).st_size
    at = 0
    while at < size:
        try:
            start = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            # ENXIO: only a hole is left.
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
    """Copy an open file; what is zero becomes a hole."""
    with target.open("wb") as file:
        file.truncate(os.fstat(source).st_size)
        for at, data in _blocks(source):
            os.pwrite(file.fileno(), data, at)


def write_sparse(target: int, data: bytes) -> int:
    """Append data to an open file, blocks of zeros as holes, and return how many bytes were written.

    The file ends where its last byte that is not zero was written. The file's position must be a multiple of BLOCK.
    """
    written = 0
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        if block == ZEROS[: len(block)]:
            os.lseek(target, len(block), os.SEEK_CUR)
        else:
            written += os.write(target, block)
    return written


def digest_sparse(path: Path) -> str:
    """Return the digest of such a file, in hex."""
    digest = sha256()
    with path.open("rb") as file:
        for at, data in _blocks(file.fileno()):
            digest.update(struct.pack("<Q", at))
            digest.update(data)
        digest.update(struct.pack("<Q", os.fstat(file.fileno()).st_size))
    return digest.hexdigest()
