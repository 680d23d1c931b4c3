# SPDX-License-Identifier: MIT
"""Convert a log to UTF-8, and decide whether it is text at all.

A log may be UTF-16: PowerShell's redirection writes it, with or without a byte order mark.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from rig.klog.text import LONGEST_LINE

__all__ = ["in_utf8", "looks_like_text"]

_SAMPLE = 4096  # bytes from which the encoding is guessed
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\x1b\x0c") + b"\x7f"
_REPLACED = "\ufffd".encode()


def in_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the text in UTF-8, without a byte order mark; UTF-16 is detected in the first bytes."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= _SAMPLE:
            break
    encoding = _encoding(head)
    if encoding is None:
        head = head.removeprefix(codecs.BOM_UTF8)
        if head:
            yield head
        yield from source
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    yield decoder.decode(head).lstrip("\ufeff").encode("utf-8", "replace")
    for chunk in source:
        yield decoder.decode(chunk).encode("utf-8", "replace")


def _encoding(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    sample = head[:_SAMPLE]
    if len(sample) < 16:
        return None
    # In UTF-16 one byte of every ASCII character is zero: the odd bytes in little endian, the even ones in big endian.
    half = len(sample) // 2
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 0.6 * half and even < 0.1 * half:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * half and odd < 0.1 * half else None


def looks_like_text(block: bytes) -> bool:
    """Return whether the first block of a log looks like lines of text."""
    if not block:
        return True
    # Text holds few control characters, and few replacement characters (U+FFFD), which invalid UTF-16 is decoded to.
    sample = block[: 16 * _SAMPLE]
    if len(sample) - len(sample.translate(None, _CONTROLS)) > len(sample) // 20:
        return False
    if sample.count(_REPLACED) * len(_REPLACED) > len(sample) // 5:
        return False
    return len(block) <= LONGEST_LINE or b"\n" in block[:LONGEST_LINE]
