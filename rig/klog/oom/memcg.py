# SPDX-License-Identifier: MIT
"""Parse the lines of an OOM report about the cgroup: its counters, statistics and protection.

Format: mem_cgroup_print_oom_meminfo() and memory_stat_format() in mm/memcontrol.c;
mem_cgroup_print_oom_info() before 4.19.
"""

from __future__ import annotations

import re

from rig.klog.oom.parts import CgroupUsage

__all__ = ["CgroupReader"]

_USAGE = re.compile(
    r"(?P<name>memory|swap|memory\+swap|kmem): usage (?P<usage>\d+)kB, limit (?P<limit>\d+)kB, failcnt "
    r"(?P<failcnt>\d+)$"
)
_STATS = re.compile(r"Memory cgroup stats(?: for (?P<path>.*?))?:(?P<rest>(?: [a-z_()]+:\d+[kK]B)*)\s*$")
_STAT = re.compile(r"\s*(?P<key>[a-z][\w.()]*) (?P<value>\d+)$")
_PAIR = re.compile(r"([a-z_()]+):(\d+)([kK]B)")
# Since 7.0: the memory that memory.min and memory.low protect.
_PROTECTION = re.compile(r"Memory cgroup min protection (?P<min>\d+)kB -- low protection (?P<low>\d+)kB$")
_KILLED_BY_LIMIT = re.compile(r"Task in (?P<task>.*) killed as a result of limit of (?P<limit>.*)$")
# A limit of `max` is printed as PAGE_COUNTER_MAX (include/linux/page_counter.h) in kB, which is above this for pages
# of 4 kB to 64 kB.
_MAX_KB = 1 << 52


class CgroupReader:
    """Read the lines about the cgroup, one at a time."""

    def __init__(self) -> None:
        self.usage: list[CgroupUsage] = []
        self.path: str | None = None
        self.task_path: str | None = None
        self.limit_path: str | None = None
        self.stats: dict[str, int] = {}
        self.protection: dict[str, int] = {}
        self.line: int | None = None
        self.last: int | None = None
        self._open = False

    def take(self, text: str, line: int) -> bool:
        """Read one line. Return whether it is about the cgroup."""
        if self._open:
            stat = _STAT.match(text)
            if stat is not None:
                self.stats[stat["key"]] = int(stat["value"])
                self.last = line
                return True
            self._open = False
        usage = _USAGE.match(text)
        if usage is not None:
            limit = int(usage["limit"])
            self.usage.append(
                CgroupUsage(
                    usage["name"],
                    int(usage["usage"]),
                    None if limit >= _MAX_KB else limit,
                    int(usage["failcnt"]),
                    line,
                )
            )
            return True
        stats = _STATS.match(text)
        if stats is not None:
            self._open = True
            self.line = self.line or line
            # 3.x and 4.x print one line for each cgroup of the hierarchy; the first is the one that hit its limit.
            if self.path is None:
                self.path = stats["path"]
                for key, value, _unit in _PAIR.findall(stats["rest"]):
                    self.stats[key] = int(value) * 1024
            return True
        protection = _PROTECTION.match(text)
        if protection is not None:
            self.protection = {"min_kb": int(protection["min"]), "low_kb": int(protection["low"])}
            return True
        killed = _KILLED_BY_LIMIT.match(text)
        if killed is not None:
            self.task_path, self.limit_path = killed["task"], killed["limit"]
            return True
        return False
