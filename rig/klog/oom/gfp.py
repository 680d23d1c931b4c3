# SPDX-License-Identifier: MIT
"""Decode a gfp mask, for kernels that print only the number.

The layout changed many times, and since 4.6 the kernel prints names. Only the layout of 2.6.32 to 4.3
(include/linux/gfp.h) is known here. In 4.4 __GFP_WAIT was split into two bits, so 4.4 and 4.5 are not decoded.
"""

from __future__ import annotations

import re

__all__ = ["decode"]

_BITS = (
    (0x01, "__GFP_DMA"),
    (0x02, "__GFP_HIGHMEM"),
    (0x04, "__GFP_DMA32"),
    (0x08, "__GFP_MOVABLE"),
    (0x10, "__GFP_WAIT"),
    (0x20, "__GFP_HIGH"),
    (0x40, "__GFP_IO"),
    (0x80, "__GFP_FS"),
    (0x100, "__GFP_COLD"),
    (0x200, "__GFP_NOWARN"),
    (0x400, "__GFP_REPEAT"),
    (0x800, "__GFP_NOFAIL"),
    (0x1000, "__GFP_NORETRY"),
    (0x4000, "__GFP_COMP"),
    (0x8000, "__GFP_ZERO"),
    (0x10000, "__GFP_NOMEMALLOC"),
    (0x20000, "__GFP_HARDWALL"),
    (0x40000, "__GFP_THISNODE"),
    (0x80000, "__GFP_RECLAIMABLE"),
)
# Combinations of flags. decode() takes the first one whose bits are all set, so a larger one comes first.
_NAMED = (
    (0x200DA, "GFP_HIGHUSER_MOVABLE"),
    (0x200D2, "GFP_HIGHUSER"),
    (0x200D0, "GFP_USER"),
    (0xD0, "GFP_KERNEL"),
    (0x50, "GFP_NOFS"),
    (0x10, "GFP_NOIO"),
    (0x20, "GFP_ATOMIC"),
)
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


def decode(mask: int, kernel: str | None) -> tuple[str, ...] | None:
    """Return the names of the flags in a mask, or None where the kernel's layout is not known.

    kernel: the version, as `3.10.0-1160.el7.x86_64`. Bits without a name are returned as one hexadecimal number.
    """
    version = _VERSION.search(kernel or "")
    if version is None:
        return None
    major, minor, patch = int(version[1]), int(version[2]), int(version[3] or 0)
    if not (2, 6, 32) <= (major, minor, patch) < (4, 4, 0):
        return None
    names = []
    for bits, name in _NAMED:
        if mask & bits == bits:
            names.append(name)
            mask &= ~bits
            break
    for bit, name in _BITS:
        if mask & bit:
            names.append(name)
            mask &= ~bit
    if mask:
        names.append(f"0x{mask:x}")
    return tuple(names)
