# SPDX-License-Identifier: MIT
"""Finds the lines that could begin an event, without looking at the others one by one.

Most of a log reports nothing. A block is searched for a few short words (memmem, a gigabyte a second each);
only where one is found is the line looked at, and only where that could begin an event does the reader start.
"""

from __future__ import annotations

import re

__all__ = ["Scanner"]

# Every line that begins an event holds one of these. That they also occur elsewhere costs a look at the line; that
# there are few of them is what makes the search fast. `[#` is the count of oopses, in whatever words the rest is.
_WORDS = (
    b"[#",
    b"to handle kernel",
    b"fault",
    b"panic",
    b"atal error:",
    b"ernal error:",
    b"unregister_netdevice: w",
    b"nhandled ",
    b"trap",
    b"Booting the k",
    b"oom",
    b"illed",
    b"enough_memory",
    b"llocation failure",
    b"vmalloc error",
    b"Mem-Info",
    b"total_vm",
)
# These can be ruled out together: where a block's capital letters alone do not hold them, nor does the block.
_CAPITALS = ((b"BUG", b"BUG"), (b"WARNING", b"WARNING:"), (b"INFO", b"INFO:"), (b"UBSAN", b"UBSAN: "),
             (b"VFS", b"VFS: "), (b"SYZF", b"SYZF"), (b"LOCKUP", b"LOCKUP"), (b"PANIC", b"PANIC: "))  # fmt: skip
_NO_CAPITALS = bytes(byte for byte in range(256) if not 65 <= byte <= 90)
_LOOK = re.compile(
    rb"BUG|WARNING:|INFO:|nable to handle kernel|(?:protection|[Uu]nhandled|double|page) fault|stack segment: "
    rb"|segfault at|Kernel panic|panic:|panicked|trusty: panic|(?:fatal|Internal|divide|vmalloc) ?error:"
    rb"|divide[ _]error|invalid opcode|int3: |UBSAN: |unregister_netdevice: w|VFS: (?:Close|Busy)|Alignment trap"
    rb"|traps: |unhandled (?:signal|exception)|SYZF|Booting the k|Oops|hard LOCKUP|oom-kill|oom_reaper: "
    rb"|illed process|__vm_enough_memory|llocation failure|Mem-Info|total_vm|to be killed"
)
# A journal's records: the message may be written as numbers, in which no word can be found.
_RECORDS = re.compile(rb'__CURSOR=|"MESSAGE"\s?:\s?\[')


class Scanner:
    """Walks through one block; `next` gives the starts of the lines worth a look, in order."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._places: dict[bytes, int] = {}
        self._words: tuple[bytes, ...] = ()
        self._records = _RECORDS.search(block, 0, 65536) is not None

    def next(self, start: int) -> int:
        """Return where the first line that could begin an event starts, from `start` (a line's start) on, or
        -1.
        """
        block = self._block
        if self._records:
            return start
        if not self._words:
            capitals = block.translate(None, _NO_CAPITALS)
            self._words = _WORDS + tuple(word for letters, word in _CAPITALS if letters in capitals)
        while True:
            nearest = -1
            for word in self._words:
                place = self._places.get(word, start - 1)
                if 0 <= place < start or word not in self._places:
                    place = block.find(word, start)
                    self._places[word] = place
                if place >= 0 and (nearest < 0 or place < nearest):
                    nearest = place
            if nearest < 0:
                return -1
            begin = block.rfind(b"\n", start, nearest) + 1 or start
            end = block.find(b"\n", nearest)
            if end < 0:
                end = len(block)
            if _LOOK.search(block, begin, end) is not None:
                return begin
            start = end + 1
            if start >= len(block):
                return -1
