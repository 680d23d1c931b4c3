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
    """Yield the same bytes in blocks that end with a line's end (but for the last), each of moderate size.

    Chunks may be lines with or without a newline inside, or pieces of any size: an iterable of `bytes` lines
    without line ends is not one, so its pieces are joined as they are. A line longer than LONGEST_LINE is
    cut: its rest is dropped, its line end kept, so that memory stays bounded.
    """
    pending: list[bytes] = []
    size = 0
    open_line = 0  # bytes since the last line end seen
    for chunk in chunks:
        if not chunk:
            continue
        if open_line > LONGEST_LINE:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk = chunk[end:]
            open_line = 0
        pending.append(chunk)
        size += len(chunk)
        end = chunk.rfind(b"\n")
        open_line = len(chunk) - end - 1 if end >= 0 else open_line + len(chunk)
        if size >= BLOCK:
            block = b"".join(pending)
            cut = block.rfind(b"\n") + 1
            rest = block[cut:][: LONGEST_LINE + 1]
            if cut:
                yield block[:cut]
            pending = [rest] if rest else []
            size = len(rest)
    if pending:
        yield b"".join(pending)


def clean(text: str) -> str:
    """Return the line without terminal escapes, controls and carriage returns."""
    if "\x1b" in text:
        text = _ESCAPES.sub("", text)
    return _CONTROLS.sub("", text)
