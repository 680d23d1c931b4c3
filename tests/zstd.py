# SPDX-License-Identifier: MIT
"""Compress with zstd: Python's own since 3.14, where rig does not depend on the package zstandard."""

from __future__ import annotations

import sys

__all__ = ["zstd"]


def zstd(data: bytes) -> bytes:
    """Return the data as one frame."""
    if sys.version_info >= (3, 14):
        from compression import zstd as module

        return bytes(module.compress(data))
    import zstandard

    return bytes(zstandard.ZstdCompressor().compress(data))
