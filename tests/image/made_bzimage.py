# SPDX-License-Identifier: MIT
"""A minimal bzImage header, for tests that need a kernel file and do not boot it."""

from __future__ import annotations

import struct

__all__ = ["made_bzimage"]


def made_bzimage(release: str) -> bytes:
    """The parts of an x86 boot header that tell a kernel and its version (made)."""
    data = bytearray(0x8000)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x3000)
    text = f"{release} (made@test) #1 SMP\0".encode()
    data[0x3200 : 0x3200 + len(text)] = text
    return bytes(data)
