# SPDX-License-Identifier: MIT
"""Find the lines that could begin an event, without reading the other lines one by one.

Few lines of a log begin an event. A block of the log is searched for a few short words with bytes.find(), which
searches a gigabyte a second for one word. A line that contains such a word is matched against the keywords, and only a
line that contains a keyword is read. The letters of a block, without its other bytes, are about half of it, and the
rare ones of them a fifth. They are searched first: a word whose letters are not among them is not in the block.
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
_SHARED = ("fault", "panic", "error", "to handle kernel", "oom", "trap", "allocation", "ille")
_NO_LETTERS = bytes(byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalpha())
_NO_CAPITALS = bytes(byte for byte in range(256) if not 65 <= byte <= 90)
# Two of three letters of an English text are one of these eight.
_NO_RARE = bytes(byte for byte in range(256) if not 97 <= byte <= 122 or chr(byte) in "etaoinsr")


def _words() -> tuple[tuple[bytes, bytes, bytes, bytes], ...]:
    """Return (word, its letters, its rare letters, its capital letters) for each word to search a block for.

    A word cannot occur in a block whose letters, joined, do not contain the word's letters, nor in one whose rare
    letters or capitals do not contain the word's. Fewer than three of these are left out: most blocks have them.
    """
    found = []
    for word in shortest(next((part for part in _SHARED if part in word), word) for word in KEYWORDS):
        capitals = max(re.findall(r"[A-Z]+", word), key=len, default="")
        letters = word.encode().translate(None, _NO_LETTERS)
        rare = letters.translate(None, _NO_RARE)
        found.append(
            (
                word.encode(),
                letters,
                rare if len(rare) >= 3 else b"",
                capitals.encode() if len(capitals) >= 3 else b"",
            )
        )
    return tuple(found)


_WORDS = _words()
_LOOK = re.compile(b"|".join(re.escape(word.encode()) for word in KEYWORDS))
# The journal's records may hold the message as a list of numbers, in which no word can be found.
_LIST = re.compile(rb'"MESSAGE"\s?:\s?\[')
_BEGINNING = 65536  # bytes of a block that are searched for such records


class Scanner:
    """Search one block for the lines that could begin an event."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._places: dict[bytes, int] = {}
        self._words: tuple[bytes, ...] = ()
        self._records = block.find(b"__CURSOR=", 0, _BEGINNING) >= 0
        place = -1 if self._records else block.find(b'"MESSAGE"', 0, _BEGINNING)
        if place >= 0:
            self._records = _LIST.search(block, place, _BEGINNING) is not None

    def next(self, start: int) -> int:
        """Return the offset of the first line from `start` on that could begin an event, or -1.

        start: the offset of the first byte of a line; no less than in the call before.
        """
        block = self._block
        if self._records:
            return start
        if not self._words:
            # Most blocks have few capitals, so that most words with three capitals in a row are ruled out at once.
            letters = block.translate(None, _NO_LETTERS)
            capitals, rares = letters.translate(None, _NO_CAPITALS), letters.translate(None, _NO_RARE)
            self._words = tuple(
                word for word, own, rare, large in _WORDS if large in capitals and rare in rares and own in letters
            )
            if not self._words:
                return -1
        # self._places has each word's next hit. It is searched for again only when `start` has passed it, so that the
        # block is searched once for each word, and not once for each line.
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
