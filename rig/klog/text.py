# SPDX-License-Identifier: MIT
"""Turn bytes into lines of bounded length, decoded and without terminal control sequences.

A log is untrusted input: a line may be a megabyte long, and a block may be binary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["LONGEST_LINE", "LONGEST_TEXT", "blocks", "bounded", "clean"]

LONGEST_LINE = 16 * 1024  # bytes; longer than a message, because a journal's JSON record has many other fields
LONGEST_TEXT = 2048  # PRINTK_MESSAGE_MAX (kernel/printk/internal.h) since 6.3; CONSOLE_LOG_MAX, 1 KiB, before
BLOCK = 1 << 18

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_SHORT = 300  # characters; a number in a shorter line fits a float, which holds 308 digits
_LONG_NUMBER = re.compile(r"(?<![0-9A-Za-z_])([0-9]{18})[0-9]{3,}(?![0-9A-Za-z_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in blocks of at most BLOCK bytes; each block but the last ends with a newline.

    chunks: pieces of any size. They are joined as they are, so lines must include their newlines.
    A line longer than a block is cut to its first LONGEST_LINE bytes.
    """
    pending: list[bytes] = []
    size = 0
    dropping = False  # True while the rest of a line that is too long is dropped
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
    """Return a line's text cut to LONGEST_TEXT characters, and its numbers cut to 18 digits.

    The first limit bounds patterns that are quadratic in a line's length. The second avoids Python's limit of 4,300
    digits for int(); no kernel prints a number that long.
    """
    if len(text) <= _SHORT:
        return text
    text = text[:LONGEST_TEXT]
    return _LONG_NUMBER.sub(r"\1", text) if _LONG_NUMBER.search(text) else text


def clean(text: str) -> str:
    """Return the line without terminal escape sequences, control characters and carriage returns."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text)
