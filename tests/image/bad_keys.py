# SPDX-License-Identifier: MIT
"""Texts that are not keys of the cache: no SHA-256 in hex, and some that lead to another path."""

__all__ = ["BAD_KEYS"]

BAD_KEYS = (
    "", ".", "..", "../victim", "../../precious", "/", "/tmp/victim", "a" * 63, "x" * 64, "A" * 64, "g" * 64, "a" * 65,
    "a" * 300, "a" * 64 + "\n", "a" * 32 + "/" + "a" * 31, "\0", "\x1b[2J",
)  # fmt: skip
