# SPDX-License-Identifier: MIT
"""Parse and format sizes and durations: 200M, 1.5G, 30s, 2min."""

from __future__ import annotations

import re
from fractions import Fraction

__all__ = ["format_duration", "format_megabytes", "format_size", "parse_age", "parse_duration", "parse_size"]

# Powers of 1024, as in QEMU, the kernel's memparse() (lib/cmdline.c) and `free -h`.
SIZES = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DURATIONS = {
    "ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "ms": Fraction(1, 1000),
    "": Fraction(1), "s": Fraction(1), "m": Fraction(60), "min": Fraction(60), "h": Fraction(3600),
}  # fmt: skip

AGES = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ns|us|ms|s|min|m|h|)")
_AGE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>s|min|h|d|w)")


def parse_size(text: str) -> int:
    """Return bytes for `200M`, `1.5G`, `4096`, `64KiB`. Raises ValueError with what is accepted."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a size: write a number and one of K, M, G or T, as in 200M")
    value = Fraction(match["number"]) * SIZES[match["unit"].upper()]
    if value.denominator != 1:
        raise ValueError(f"'{text}' is not a whole number of bytes")
    return int(value)


def parse_duration(text: str) -> float:
    """Return seconds for `30s`, `500ms`, `2min`, `1.5`. Raises ValueError with what is accepted."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not a duration: write a number and ns, us, ms, s, min or h, as in 30s")
    return float(Fraction(match["number"]) * DURATIONS[match["unit"]])


def parse_age(text: str) -> float:
    """Return seconds for `7d`, `12h`, `30min`. Raises ValueError with what is accepted."""
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"'{text}' is not an age: write a number and s, min, h, d or w, as in 7d")
    return float(Fraction(match["number"]) * AGES[match["unit"]])


def format_size(count: int) -> str:
    """Return the shortest form that reads back to the same number of bytes: 200M, 1536K, 17."""
    for unit in "TGMK":
        if count and count % SIZES[unit] == 0:
            return f"{count // SIZES[unit]}{unit}"
    return str(count)


def format_megabytes(count: float) -> str:
    """Return a number of bytes for display, in units of 2^20 bytes: 12.3 MB."""
    return f"{count / SIZES['M']:.1f} MB"


def format_duration(seconds: float) -> str:
    """Return 30s, 500ms, 25min: a form that reads back to the same duration."""
    if seconds and seconds % 60 == 0 and seconds >= 120:
        return f"{seconds / 60:g}min"
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    return f"{seconds:g}s"
