# SPDX-License-Identifier: MIT
"""Bytes to lines: bounded, decoded, without terminal controls.

A log is input that nobody vouches for: a line may be a megabyte, a block may be binary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["LONGEST_LINE", "blocks", "clean"]

LONGEST_LINE = 16 * 1024  # printk's records end at 1 KiB; a journal's JSON record needs some more
BLOCK = 1 << 18

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of at most BLOCK that end with a line's end, but for the last.

    Chunks may be lines with or without a newline inside, or pieces of any size: an iterable of `bytes` lines
    without line ends is not one, so its pieces are joined as they are. Of a line longer than a block the first
    LONGEST_LINE bytes are kept.
    """
    pending: list[bytes] = []
    size = 0
    dropping = False  # the rest of a line that is too long
    for chunk in chunks:
        if dropping:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, dropping = chunk[end + 1 :], False
        pending.append(chunk)
        size += len(chunk)
        if size < BLOCK:
            continue
        whole = b"".join(pending)
        start = 0
        while len(whole) - start >= BLOCK:
            end = whole.rfind(b"\n", start, start + BLOCK) + 1
            if not end:  # one line fills the block
                yield whole[start : start + LONGEST_LINE] + b"\n"
                end = whole.find(b"\n", start + LONGEST_LINE)
                dropping = end < 0
                start = len(whole) if dropping else end + 1
            else:
                yield whole[start:end]
                start = end
        rest = whole[start:]
        pending = [rest] if rest else []
        size = len(rest)
    if pending:
        yield b"".join(pending)


def clean(text: str) -> str:
    """Return the line without terminal escapes, controls and carriage returns."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text)
