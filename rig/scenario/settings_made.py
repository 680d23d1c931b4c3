# SPDX-License-Identifier: MIT
"""Collect what the plan set (sysctls, and files of the kernel), and what the agent read of it later.

The kernel prints many files in another form than was written: `[always] madvise never`, pages for bytes, `100000 max`.
So later readings are compared with what the file read right after the write, and only that with what was asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from rig.run.records import Record
from rig.scenario.evidence import Evidence

__all__ = [
    "Made",
    "Seen",
    "made_at_end",
    "made_by",
    "made_verbose",
    "path_of",
    "same_words",
    "seen_in",
    "taken",
    "text_of",
    "time_of",
]

LIVELY = re.compile(
    r"/(?:cgroup\.procs|cgroup\.threads|tasks|memory\.peak|memory\.swap\.peak|memory\.[a-z.]*failcnt"
    r"|memory\.[a-z.]*max_usage_in_bytes)$"
    r"|^/proc/sys/kernel/(?:hung_task_warnings|ns_last_pid)$"
    r"|^/sys/kernel/debug/fail[a-z_]*/(?:times|space)$"
)
"""Files whose text changes by itself: a list of processes, or a counter that a write resets.

The kernel lowers hung_task_warnings with each hung task that it reports (kernel/hung_task.c), and `times` and `space`
of a fault injection as it injects faults (lib/fault-inject.c). ns_last_pid is the last pid (kernel/pid_namespace.c)."""
OF_A_PROCESS = re.compile(r"/proc/(?:[0-9]+|self|thread-self)/")
"""Files that are gone when the process has ended."""
CHOSEN = re.compile(r"\[([^\]]+)\]")
SIZE = re.compile(r"(-?[0-9]+)([kmgtKMGT]?)")
UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
BOOLEANS = {"1": "Y", "0": "N", "y": "Y", "n": "N", "Y": "Y", "N": "N"}
"""How the kernel prints a parameter of a module that is a boolean (param_get_bool(), kernel/params.c)."""
CONSOLE_LOGLEVEL_MOTORMOUTH = "15"
"""include/linux/printk.h."""
LARGEST_PAGE = 64 * 1024
UNLIMITED = 1 << 53


@dataclass(frozen=True)
class Made:
    """A setting of the plan.

    name: of a sysctl, or the path of a file.
    asked: what was written.
    got: what was read right after that; None where the file cannot be read.
    """

    name: str
    asked: str
    got: str | None
    is_file: bool = False

    @property
    def wanted(self) -> str:
        """The text that a later reading must be equal to."""
        return self.got if self.is_file and self.got is not None else self.asked

    @property
    def lively(self) -> bool:
        return LIVELY.search(path_of(self.name)) is not None

    @property
    def ends_with_a_process(self) -> bool:
        return self.is_file and OF_A_PROCESS.match(self.name) is not None


@dataclass(frozen=True)
class Seen:
    """The last known value of a setting, or None where it cannot be read.

    when: the source and its time in words, for the reason.
    since: whether the value was read after it had been set, and not only by the step that set it. It is true as well
        for what can never be read, of which nothing is expected.
    unread: whether it could be read when it was set, and not at the end.
    """

    value: str | None
    when: str
    since: bool = True
    unread: bool = False


def made_by(record: Record) -> Made | None:
    """Return the setting that a record of a step tells of, or None."""
    if record["ev"] == "sysctl":
        return Made(str(record.get("name")), str(record.get("asked")), text_of(record.get("got")))
    path = record.get("path")
    if record["ev"] in ("write", "cgroup") and isinstance(path, str) and path.startswith(("/proc/", "/sys/")):
        return Made(path, str(record.get("asked")), text_of(record.get("got")), is_file=True)
    return None


def made_at_end(evidence: Evidence) -> dict[str, Made]:
    """Return by name, or by path, what the plan set last. The agent says at the end which steps' values those are."""
    made: dict[str, Made] = {}
    for record in evidence.records.items:
        found = made_by(record)
        if found is not None:
            made[found.name] = found
    at_end = {
        str(record.get("name", record.get("path"))): str(record.get("asked"))
        for record in (*evidence.records.of("sysctl_at_end"), *evidence.records.of("file_at_end"))
    }
    if not at_end:
        return made
    return {name: replace(each, asked=at_end[name]) for name, each in made.items() if name in at_end}


def seen_in(record: Record, names: Iterable[str]) -> Iterator[tuple[str, Seen]]:
    """Yield what a sample, or a file that the plan read, tells of these settings."""
    for name in names:
        values = record.get("files" if name.startswith("/") else "sysctls")
        if record["ev"] == "sample" and isinstance(values, dict) and name in values:
            yield name, Seen(text_of(values[name]), f"{time_of(record)}, in a sample")
        elif record["ev"] == "read" and record.get("path") == path_of(name):
            yield name, Seen(str(record.get("text", "")).strip(), f"{time_of(record)}, in a file that the plan read")


def path_of(name: str) -> str:
    """Return the file of a sysctl; a path as it is."""
    return name if name.startswith("/") else f"/proc/sys/{name.replace('.', '/')}"


def same_words(value: str, wanted: str) -> bool:
    # The kernel prints vectors such as kernel.printk with TABs, whatever blanks they were written with.
    return value.split() == wanted.split()


def made_verbose(name: str, value: str, wanted: str) -> bool:
    """Return whether a setting differs as the kernel itself changes it when it reports a crash: kernel.printk.

    console_verbose() of kernel/printk/printk.c sets the first number, console_loglevel, to 15 unless it is 0.
    """
    numbers, before = value.split(), wanted.split()
    return (
        path_of(name) == "/proc/sys/kernel/printk"
        and numbers[:1] == [CONSOLE_LOGLEVEL_MOTORMOUTH]
        and before[:1] != ["0"]
        and numbers[1:] == before[1:]
    )


def taken(asked: str, got: str) -> bool | None:
    """Return whether a file that reads so has taken what was written; None where its form is not known."""
    words, has = asked.split(), got.split()
    if words == has:
        return True
    chosen = CHOSEN.findall(got)
    if chosen:
        return asked.strip() in chosen if asked.strip() in CHOSEN.sub(r"\1", got).split() else None
    signs = [word for word in words if word[0] in "+-" and not SIZE.fullmatch(word)]
    if words and len(signs) == len(words):
        # cgroup.subtree_control.
        return all((word[1:] in has) == (word[0] == "+") for word in words)
    # cpu.max reads with its period, io.max with the limits that were not set, cgroup.procs with the others.
    if words and (set(words) <= set(has) or BOOLEANS.get(asked.strip()) == got.strip()):
        return True
    numbers = _bytes(asked), _bytes(got)
    if asked.strip() == "-1" and numbers[1] is not None:
        return numbers[1] >= UNLIMITED  # a limit of cgroup version 1
    if numbers[0] is None or (numbers[1] is None and got.strip() != "max"):
        return None
    if numbers[1] is None:
        return numbers[0] >= UNLIMITED
    # A limit is rounded down to whole pages (page_counter_memparse(), mm/page_counter.c).
    return 0 <= numbers[0] - numbers[1] < LARGEST_PAGE and (numbers[0] == numbers[1] or numbers[0] >= 4096)


def _bytes(text: str) -> int | None:
    found = SIZE.fullmatch(text.strip())
    return int(found[1]) << UNITS[found[2].lower()] if found else None


def time_of(record: Record) -> str:
    return f"at {float(record['t']):.1f} s"


def text_of(value: object) -> str | None:
    return None if value is None else str(value)
