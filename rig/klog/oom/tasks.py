# SPDX-License-Identifier: MIT
"""Parse the task table by the header that the kernel prints above it: distributions backport columns.

Format: dump_tasks() and dump_task() in mm/oom_kill.c. The name is the last column and may contain blanks.
"""

from __future__ import annotations

import re
from operator import itemgetter

from rig.klog.oom.parts import TaskRow

__all__ = ["TaskTable", "glued_rows", "guessed_header", "is_task_header"]

_BARE_ROW = re.compile(r"\[ *\d+\]((?:\s+-?\d+){7,10})\s+\S")
_GLUED = re.compile(r"\s(?=\[ *\d+\]\s+\d+\s+\d+\s+\d+\s)")
# Headers by number of columns. dump_tasks() (mm/oom_kill.c): 2.6.36 to 3.x, 4.0 to 4.14, 4.15 to 6.7, and since 6.8.
_HEADERS = {
    "nr_ptes": "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name",
    8: "[ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name",
    7: "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
    10: "[ pid ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem pgtables_bytes swapents oom_score_adj name",
}
_SMALLEST_TABLE = 4096  # bytes; pgtables_bytes is a multiple of it, nr_ptes rarely is

# The columns that TaskRow has a field for, in the order of its fields.
_KNOWN = (
    "tgid",
    "uid",
    "total_vm",
    "rss",
    "rss_anon",
    "rss_file",
    "rss_shmem",
    "pgtables_bytes",
    "swapents",
    "oom_score_adj",
)
_NOTHING: dict[str, int] = {}


def is_task_header(text: str) -> bool:
    """Return whether a line is the table's header: `[  pid  ]   uid  tgid total_vm ... name`."""
    if not text.startswith("[") or not text.endswith("name"):
        return False
    words = text.replace("[", " ").replace("]", " ").split()
    return words[0] == "pid" and {"total_vm", "rss"} <= set(words) and words[-1] == "name"


def glued_rows(text: str) -> list[str]:
    """Return the rows of a line. A mail client may have joined several rows into one line."""
    return _GLUED.split(text) if "] " in text[12:] else [text]


def guessed_header(text: str) -> str | None:
    """Return the header that a row must have had, by its number of columns; None for a line that is not a row."""
    match = _BARE_ROW.match(text)
    if match is None:
        return None
    numbers = [int(word) for word in match[1].split()]
    if len(numbers) == 7 and (numbers[4] % _SMALLEST_TABLE or not numbers[4]):
        return _HEADERS["nr_ptes"]  # pgtables_bytes would be whole pages
    return _HEADERS.get(len(numbers))


class TaskTable:
    """Read the rows below one header."""

    def __init__(self, header: str) -> None:
        self.columns = tuple(header.replace("[", " ").replace("]", " ").split())
        between = self.columns[1:-1]  # the pid and the name
        self._count = len(between)
        # read() appends a None to the numbers of a row; a column that the header lacks is picked from there.
        self._pick = itemgetter(*(between.index(name) if name in between else self._count for name in _KNOWN))
        self._extra = tuple((name, index) for index, name in enumerate(between) if name not in _KNOWN)

    def read(self, text: str, line: int) -> TaskRow | None:
        """Return the row that a line holds; None for a line that is not a row, or that is cut."""
        end = text.find("]")
        if end < 2 or text[0] != "[":
            return None
        words = text[end + 1 :].split(None, self._count)
        try:
            if len(words) == self._count + 1:
                name = words.pop()
            elif len(words) == self._count and text.endswith(" "):
                name = ""  # a task may have no name at all: PR_SET_NAME takes the empty string
            else:
                return None
            numbers: list[int | None] = [*map(int, words), None]
            pid = int(text[1:end])
        except ValueError:
            return None
        extra = {key: int(words[index]) for key, index in self._extra} if self._extra else _NOTHING
        tgid, uid, total_vm, rss, anon, file, shmem, pgtables, swapents, adj = self._pick(numbers)
        return TaskRow(pid, tgid, uid, total_vm, rss, anon, file, shmem, pgtables, swapents, adj, name, line, extra)
