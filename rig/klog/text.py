# SPDX-License-Identifier: MIT
"""Bytes to lines: bounded, decoded, without terminal controls.

A log is input that nobody vouches for: a line may be a megabyte, a block may be binary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["LONGEST_LINE", "LONGEST_TEXT", "blocks", "bounded", "clean"]

LONGEST_LINE = 16 * 1024  # a journal's JSON record holds more than its message
LONGEST_TEXT = 2048  # PRINTK_MESSAGE_MAX (kernel/printk/internal.h) since 6.3; LOG_LINE_MAX, 1 KiB, before
BLOCK = 1 << 18

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SHORT = 300  # no number in such a line is beyond what a float holds (308 digits)
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z_])([0-9]{18})[0-9]{3,}(?![0-9A-Za-z_])")
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


def bounded(text: str) -> str:
    """Return a line's text, cut at the longest that printk writes, numbers that no kernel prints cut at 18 digits.

    Patterns that are quadratic in a line's length, and Python's limit of 4,300 digits to a number, cannot be reached.
    """
    if len(text) <= _SHORT:
        return text
    text = text[:LONGEST_TEXT]
    return _LONG_NUMBER.sub(r"\1", text) if _LONG_NUMBER.search(text) else text


def clean(text: str) -> str:
    """Return the line without terminal escapes, controls and carriage returns."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text)
