"""Finds the lines that could begin an event, without looking at the others one by one.

Most of a log reports nothing. A block is searched for a few short words (memmem, a gigabyte a second each);
only where one is found is the line looked at, and only where that could begin an event does the reader start.
"""

from __future__ import annotations

import re

__all__ = ["Scanner"]

# Every line that begins an event holds one of these. That they also occur elsewhere costs a look at the line; that
# there are few of them is what makes the search fast.
_WORDS = (
    b"BUG",
    b"WARNING:",
    b"INFO:",
    b"to handle kernel",
    b"fault",
    b"stack segment",
    b"panic",
    b"error:",
    b"opcode:",
    b"int3: ",
    b"UBSAN: ",
    b"unregister_netdevice: w",
    b"VFS: ",
    b"nhandled ",
    b"trap",
    b"SYZF",
    b"Booting the k",
    b"Oops",
    b"LOCKUP",
    b"oom",
    b"illed",
    b"enough_memory",
    b"llocation failure",
    b"Mem-Info",
    b"total_vm",
)
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
        self._records = _RECORDS.search(block, 0, 65536) is not None

    def next(self, start: int) -> int:
        """Return where the first line that could begin an event starts, from `start` (a line's start) on, or
        -1.
        """
        block = self._block
        if self._records:
            return start
        while True:
            nearest = -1
            for word in _WORDS:
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
