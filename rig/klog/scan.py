# SPDX-License-Identifier: MIT
"""Find the lines that could begin an event, without reading the other lines one by one.

Most lines of a log report nothing. So a block is searched for a few short words with bytes.find() (a gigabyte a second
each). Only a line with such a word is matched against the keywords, and only a line with a keyword reaches the reader.
"""

from __future__ import annotations

import re

from rig.klog import oneline
from rig.klog.crash import starts
from rig.klog.keywords import shortest
from rig.klog.oom import report

__all__ = ["KEYWORDS", "Scanner"]

# The keywords of every family of rules. A line without any of them cannot begin an event.
KEYWORDS = shortest((*starts.KEYWORDS, *report.KEYWORDS, *oneline.KEYWORDS))
# Parts that several keywords share: one search for the part replaces a search for each of these keywords. The choice
# affects only speed: a keyword without such a part is searched for itself.
_SHARED = ("fault", "panic", "error", "to handle kernel", "oom", "trap")


def _words() -> tuple[tuple[bytes, ...], tuple[tuple[bytes, bytes], ...]]:
    """Return (words, pairs) to search a block for.

    A pair is (capitals, word), where `capitals` is a run of capital letters of the word. A block is searched for the
    word only if that run is among the block's capital letters.
    """
    words = shortest(next((part for part in _SHARED if part in word), word) for word in KEYWORDS)
    plain, capital = [], []
    for word in words:
        capitals = max(re.findall(r"[A-Z]+", word), key=len, default="")
        if len(capitals) >= 3:
            capital.append((capitals.encode(), word.encode()))
        else:
            plain.append(word.encode())
    return tuple(plain), tuple(capital)


_WORDS, _CAPITALS = _words()
_NO_CAPITALS = bytes(byte for byte in range(256) if not 65 <= byte <= 90)
_LOOK = re.compile(b"|".join(re.escape(word.encode()) for word in KEYWORDS))
# The journal's records may hold the message as a list of numbers, in which no word can be found.
_RECORDS = re.compile(rb'__CURSOR=|"MESSAGE"\s?:\s?\[')


class Scanner:
    """Search one block; `next` returns the offsets of the lines that could begin an event, in order."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._places: dict[bytes, int] = {}
        self._words: tuple[bytes, ...] = ()
        self._records = _RECORDS.search(block, 0, 65536) is not None

    def next(self, start: int) -> int:
        """Return the offset of the first line from `start` on that could begin an event, or -1.

        start: the offset of a line's first byte.
        """
        block = self._block
        if self._records:
            return start
        if not self._words:
            # Most blocks have few capital letters: what remains when all else is deleted rules words out at once.
            capitals = block.translate(None, _NO_CAPITALS)
            self._words = _WORDS + tuple(word for letters, word in _CAPITALS if letters in capitals)
        # Each word's next hit is kept, so that a block is searched once for each word and not once for each line.
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
