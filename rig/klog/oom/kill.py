# SPDX-License-Identifier: MIT
"""Parse the end of an OOM report: the constraint line, the kills, the lines of the oom_reaper.

Formats: dump_oom_victim() (dump_oom_summary() in 6.1), __oom_kill_process() and oom_reap_task() in
mm/oom_kill.c.
"""

from __future__ import annotations

import re

from rig.klog.oom.parts import Kill, Reaped

__all__ = ["is_whole_constraint", "read_constraint", "read_group", "read_kill", "read_reaped", "read_score"]

# The second form of the name is that of RHEL 6: `Killed process 12, UID 500, (java) total-vm:...`.
_KILL = re.compile(
    r"(?:(?P<reason>.*?): )?Killed process (?P<pid>\d+)(?: \((?P<comm>.*?)\)|, (?:UID "
    r"(?P<olduid>\d+), )?\((?P<oldcomm>.*?)\))"
    r",? (?P<sizes>(?:total-vm|vsz):\d+(?:kB)?(?:,? +[A-Za-z][\w-]*:-?\d+(?:kB)?)*),?$"
)
# Until 2.6.31 the line has no sizes and ends in a full stop: `Out of Memory: Killed process 12 (java).` (2.4), `Out of
# memory: Killed process 12, UID 27, (mysqld).` (RHEL 5).
_OLD_KILL = re.compile(
    r"(?P<reason>Out of [Mm]emory): [Kk]illed process (?P<pid>\d+)(?:, UID (?P<uid>\d+),)? \((?P<comm>.*?)\)\.$"
)
_SCORE = re.compile(
    r"(?P<reason>.*?): Kill process (?P<pid>\d+) \((?P<comm>.*)\) score (?P<score>\d+) or sacrifice child$"
)
_SIZE = re.compile(r"([A-Za-z][\w-]*):(-?\d+)(?:kB)?")
_REAPED = re.compile(
    r"oom_reaper: reaped process (?P<pid>\d+) \((?P<comm>.*)\),? now anon-rss:(?P<anon>\d+)kB, file-rss:"
    r"(?P<file>\d+)kB"
    r"(?:, shmem-rss:(?P<shmem>\d+)kB)?$"
)
_UNABLE = re.compile(r"oom_reaper: unable to reap (?:pid:|process )(?P<pid>\d+) \((?P<comm>.*)\)\.?$")
_CONSTRAINT = re.compile(r"oom-kill:constraint=(?P<constraint>CONSTRAINT_\w+)(?P<rest>.*)$")
_WHOLE_CONSTRAINT = re.compile(r"oom-kill:constraint=.*,uid=\d+$")
_SPLIT_KEY = re.compile(r"\b(oom|task|mems) ?_? ?(?=(?:memcg|allowed)=)")  # where a mail client wrapped the line
_KEYS = "nodemask|cpuset|mems_allowed|oom_memcg|task_memcg|task|pid|uid"
# A cgroup's path and a task's name may contain commas and equals signs, so a field ends only before a known key.
_FIELDS = re.compile(rf",(?P<key>{_KEYS})=(?P<value>.*?)(?=,(?:{_KEYS})=|,global_oom(?:,|$)|$)|,(?P<flag>global_oom)")
_GROUP = re.compile(r"Tasks in (?P<path>.*) are going to be killed due to memory\.oom\.group set$")


def read_kill(text: str, line: int) -> Kill | None:
    """Return the kill that a line reports, or None."""
    match = _KILL.match(text)
    if match is None:
        return _old_kill(text, line)
    sizes = {name.lower(): int(value) for name, value in _SIZE.findall(match["sizes"])}
    uid = sizes.pop("uid", None)
    return Kill(
        pid=int(match["pid"]),
        comm=match["comm"] if match["comm"] is not None else match["oldcomm"],
        total_vm_kb=sizes.pop("total-vm", None),
        anon_rss_kb=sizes.pop("anon-rss", None),
        file_rss_kb=sizes.pop("file-rss", None),
        shmem_rss_kb=sizes.pop("shmem-rss", None),
        uid=uid if match["olduid"] is None else int(match["olduid"]),
        pgtables_kb=sizes.pop("pgtables", None),
        oom_score_adj=sizes.pop("oom_score_adj", None),
        reason=match["reason"] or "",
        line=line,
        extra=sizes,
    )


def _old_kill(text: str, line: int) -> Kill | None:
    match = _OLD_KILL.match(text)
    if match is None:
        return None
    uid = None if match["uid"] is None else int(match["uid"])
    return Kill(int(match["pid"]), match["comm"], None, None, None, None, uid, None, None, match["reason"], line)


def read_score(text: str) -> tuple[str, int, str, int] | None:
    """Return (reason, pid, comm, score) of the line before the kill that kernels until 4.18 print."""
    match = _SCORE.match(text)
    return None if match is None else (match["reason"], int(match["pid"]), match["comm"], int(match["score"]))


def read_reaped(text: str, line: int) -> Reaped | None:
    """Parse a line of the oom_reaper; return None for any other line."""
    match = _REAPED.match(text)
    if match is not None:
        shmem = match["shmem"]
        return Reaped(
            pid=int(match["pid"]),
            comm=match["comm"],
            anon_rss_kb=int(match["anon"]),
            file_rss_kb=int(match["file"]),
            shmem_rss_kb=None if shmem is None else int(shmem),
            done=True,
            line=line,
        )
    match = _UNABLE.match(text)
    if match is None:
        return None
    return Reaped(int(match["pid"]), match["comm"], None, None, None, done=False, line=line)


def read_constraint(text: str) -> dict[str, str] | None:
    """Return the fields of `oom-kill:constraint=...`; `global_oom` is a key with an empty value."""
    match = _CONSTRAINT.match(_SPLIT_KEY.sub(r"\1_", text))
    if match is None:
        return None
    fields = {"constraint": match["constraint"]}
    for field in _FIELDS.finditer(match["rest"]):
        if field["flag"]:
            fields["global_oom"] = ""
        else:
            fields[field["key"]] = field["value"]
    return fields


def is_whole_constraint(text: str) -> bool:
    """Return whether a line is `oom-kill:constraint=...` with its last field, uid (dump_oom_victim())."""
    return _WHOLE_CONSTRAINT.match(text) is not None


def read_group(text: str) -> str | None:
    """Return the cgroup whose every task is killed (memory.oom.group), or None."""
    match = _GROUP.match(text)
    return None if match is None else match["path"]
