# SPDX-License-Identifier: MIT
"""Format sizes and counts."""

from __future__ import annotations

__all__ = ["count", "size"]


def size(kb: float) -> str:
    """Return a size as `812 kB`, `12.4 MB` or `3.1 GB`; the units are binary, 1 MB = 1024 kB."""
    if abs(kb) < 1024:
        return f"{kb:.0f} kB"
    for unit, scale in (("MB", 1024), ("GB", 1024**2), ("TB", 1024**3)):
        if abs(kb) < 1024 * scale:
            return f"{kb / scale:.1f} {unit}"
    return f"{kb / 1024**3:.0f} TB"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 page`, `2 pages`. many: the plural, by default with s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
