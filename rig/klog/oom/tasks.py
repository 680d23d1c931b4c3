# SPDX-License-Identifier: MIT
"""The task table. Its columns come from the header that the kernel prints above it, never from its version.

Format: dump_tasks() and dump_task() in mm/oom_kill.c. The name is the last column and may hold blanks.
"""

from __future__ import annotations

from operator import itemgetter

from rig.klog.oom.parts import TaskRow

__all__ = ["TaskTable", "is_task_header"]

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
    """Whether a line is the table's header: `[  pid  ]   uid  tgid total_vm ... name`."""
    if not text.startswith("[") or not text.endswith("name"):
        return False
    words = text.replace("[", " ").replace("]", " ").split()
    return words[0] == "pid" and {"total_vm", "rss"} <= set(words) and words[-1] == "name"


class TaskTable:
    """Reads the rows below one header."""

    def __init__(self, header: str) -> None:
        self.columns = tuple(header.replace("[", " ").replace("]", " ").split())
        between = self.columns[1:-1]  # the pid and the name
        self._count = len(between)
        # A column that the header does not have is the None that follows the row's numbers.
        self._pick = itemgetter(*(between.index(name) if name in between else self._count for name in _KNOWN))
        self._extra = tuple((name, index) for index, name in enumerate(between) if name not in _KNOWN)

    def read(self, text: str, line: int) -> TaskRow | None:
        """Return the row that a line holds; None for a line that is none, or that is cut."""
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
