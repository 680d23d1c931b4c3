"""The task table. Its columns come from the header that the kernel prints above it, never from its version.

Format: dump_tasks() and dump_task() in mm/oom_kill.c. The name is the last column and may hold blanks.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.klog.oom.model import TaskRow

__all__ = ["TaskTable", "is_task_header"]

_KNOWN = (
    "total_vm", "rss", "rss_anon", "rss_file", "rss_shmem", "pgtables_bytes", "nr_ptes", "nr_pmds",
    "swapents", "oom_score_adj", "cpu", "oom_adj",
)  # fmt: skip
_ALIASES = {"nr_pds": "nr_pmds"}


def is_task_header(text: str) -> bool:
    """Whether a line is the table's header: `[  pid  ]   uid  tgid total_vm ... name`."""
    if not text.startswith("[") or not text.endswith("name"):
        return False
    words = text.replace("[", " ").replace("]", " ").split()
    return words[0] == "pid" and "total_vm" in words and words[-1] == "name"


class TaskTable:
    """Reads the rows below one header."""

    def __init__(self, header: str) -> None:
        self.columns = tuple(header.replace("[", " ").replace("]", " ").split())
        self._numbers = len(self.columns) - 2  # between the pid and the name
        self._order = self.columns[1:-1]
        known = {_ALIASES.get(name, name): index for index, name in enumerate(self._order)}
        self._place = {name: known.get(name) for name in (*_KNOWN, "uid", "tgid")}
        self._extra = [
            (name, index)
            for index, name in enumerate(self._order)
            if _ALIASES.get(name, name) not in (*_KNOWN, "uid", "tgid")
        ]
        self._total_vm = self._place["total_vm"]
        self._rss = self._place["rss"]
        self._build = self._builder()

    def read(self, text: str, line: int) -> TaskRow | None:
        """Return the row that a line holds; None for a line that is none, or that is cut."""
        end = text.find("]")
        if end < 2 or not text.startswith("["):
            return None
        words = text[end + 1 :].split(None, self._numbers)
        try:
            if len(words) == self._numbers + 1:
                name = words.pop()
            elif len(words) == self._numbers and text.endswith(" "):
                name = ""  # a task may have no name at all: PR_SET_NAME takes the empty string
            else:
                return None
            return self._build(int(text[1:end]), [int(word) for word in words], name, line)
        except ValueError:
            return None

    def _builder(self) -> Callable[[int, list[int], str, int], TaskRow]:
        place = self._place
        extra = self._extra

        def pick(numbers: list[int], name: str) -> int | None:
            index = place[name]
            return None if index is None else numbers[index]

        def build(pid: int, numbers: list[int], name: str, line: int) -> TaskRow:
            return TaskRow(
                pid=pid,
                tgid=pick(numbers, "tgid"),
                uid=pick(numbers, "uid"),
                total_vm=pick(numbers, "total_vm") or 0,
                rss=pick(numbers, "rss") or 0,
                rss_anon=pick(numbers, "rss_anon"),
                rss_file=pick(numbers, "rss_file"),
                rss_shmem=pick(numbers, "rss_shmem"),
                pgtables_bytes=pick(numbers, "pgtables_bytes"),
                swapents=pick(numbers, "swapents"),
                oom_score_adj=pick(numbers, "oom_score_adj"),
                name=name,
                line=line,
                nr_ptes=pick(numbers, "nr_ptes"),
                nr_pmds=pick(numbers, "nr_pmds"),
                cpu=pick(numbers, "cpu"),
                oom_adj=pick(numbers, "oom_adj"),
                extra={key: numbers[index] for key, index in extra},
            )

        return build
