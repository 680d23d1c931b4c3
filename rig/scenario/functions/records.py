# SPDX-License-Identifier: MIT
"""Functions of claims over the agent's records: samples, processes, steps, lines, and what the plan looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rig.run.process_names import process_key
from rig.run.records import Record
from rig.scenario.declare import function
from rig.scenario.evidence import KIB, Evidence, processes
from rig.scenario.refusals import count_refused_forks
from rig.scenario.views import MissingRecord, view

__all__ = [
    "LOOKS",
    "find_look",
    "find_process",
    "find_sample",
    "guard_processes",
    "number_of",
    "require_complete",
]

LOOKS = frozenset({"fds", "kcmp", "status", "tree", "read"})
"""Kinds of records in which a step says what it looked at."""


def find_sample(evidence: Evidence, label: str) -> Record:
    """Return the first sample of that label. Raises MissingRecord."""
    for found in evidence.samples():
        if found.get("label") == label:
            return found
    there = ", ".join(str(each["label"]) for each in evidence.samples() if each.get("label"))
    raise MissingRecord(f"there is no sample '{label}', only {there or 'none with a label'}")


def find_look(evidence: Evidence, label: str) -> Record:
    """Return the first record of LOOKS with that label. Raises MissingRecord."""
    for record in evidence.records.items:
        if record["ev"] in LOOKS and record.get("label") == label:
            return record
    raise MissingRecord(f"nothing was looked at under the label '{label}'")


def find_process(evidence: Evidence, role: str, label: str) -> Any:
    """Return the view of the process of that role in a sample. Raises MissingRecord."""
    found = procs(evidence, role, label)
    if not found:
        there = sorted({str(each.get("comm")) for each in processes(find_sample(evidence, label))})
        raise MissingRecord(f"there is no process '{role}' in the sample '{label}', only {', '.join(there) or 'none'}")
    if len(found) > 1:
        which = ", ".join(f"{each.program} ({each.pid})" for each in found)
        raise MissingRecord(f"'{role}' is {len(found)} processes in the sample '{label}': {which}")
    return found[0]


def number_of(fields: Mapping[str, Any], name: str, label: str) -> int:
    """Return a whole number of a sample. Raises MissingRecord."""
    value = fields.get(name)
    if not isinstance(value, int):
        raise MissingRecord(f"the sample '{label}' has no {name}")
    return value


def _plays(evidence: Evidence, process: Mapping[str, Any], role: str) -> bool:
    """Return whether a process has that role: it is the process of that name, or there is none and its comm is it."""
    if role in evidence.names.values():
        return evidence.names.get(process_key(process)) == role
    return process.get("comm") == role or (process.get("program") == role and not process.get("comm"))


def _recorded_of(evidence: Evidence, ev: str, role: str) -> list[Record]:
    """Return the records of that kind of the process with that role. Raises MissingRecord where two have it."""
    records = evidence.records.of(ev)
    found = [record for record in records if evidence.names.get(process_key(record)) == role]
    if not found and role not in evidence.names.values():
        # Where a process has that role, a record of another one that had its comm before is not about it.
        found = [record for record in records if role in (record.get("comm"), record.get("program"))]
    if len({process_key(record) for record in found}) > 1:
        # A program's process of another comm (a child) is not what is asked for by the program's own name.
        found = [record for record in found if record.get("comm") in (None, role)] or found
    which = sorted({process_key(record) for record in found})
    if len(which) > 1:
        told = ", ".join(evidence.names.get(key, f"{key[0]} ({key[1]})") for key in which)
        raise MissingRecord(f"'{role}' is {len(which)} processes: {told}")
    return found


@function("records", "sample('start').meminfo.MemTotal > 400000")
def sample(evidence: Evidence, label: str) -> Any:
    """the first sample of that label: `.meminfo.MemAvailable` (kB), `.vmstat.oom_kill`, `.psi`, `.procs`, `.t`"""
    return view(guard_processes(find_sample(evidence, label)), f"sample '{label}'")


@function("records", "has_sample('forked') and not has_sample('nowhere')")
def has_sample(evidence: Evidence, label: str) -> bool:
    """whether there is one"""
    return any(each.get("label") == label for each in evidence.samples())


@function("records", "proc('child', 'forked').ppid == proc('parent', 'forked').pid")
def proc(evidence: Evidence, role: str, label: str) -> Any:
    """that process in that sample: `.rss_kb`, `.anon_kb`, `.pgtables_kb`, `.minflt`, `.oom_score`, `.ppid`, …"""
    return find_process(evidence, role, label)


@function("records", "len(procs('hog', 'hogging')) == 1")
def procs(evidence: Evidence, role: str, label: str) -> Any:
    """all processes of that role in it"""
    found = require_complete(find_sample(evidence, label), f"the sample '{label}'")
    rows = [each for each in processes(found) if _plays(evidence, each, role)]
    return tuple(view(row, f"'{role}' in the sample '{label}'") for row in rows)


@function("records", "len(history('parent')) > len(history('hog')) > 1")
def history(evidence: Evidence, role: str) -> Any:
    """what every sample says of that role, in order"""
    samples = [require_complete(sample, "a sample") for sample in evidence.samples()]
    rows = [each for sample in samples for each in processes(sample) if _plays(evidence, each, role)]
    return tuple(view(each, f"'{role}'") for each in rows)


@function("records", "pid('child') == proc('child', 'forked').pid")
def pid(evidence: Evidence, role: str) -> int:
    """the pid of a role"""
    for number, played in evidence.roles().items():
        if played == role:
            return number
    alike = [key[1] for key, name in evidence.names.items() if name.rpartition("/")[2].partition(" (")[0] == role]
    if len(alike) > 1:
        raise MissingRecord(f"'{role}' is {len(alike)} processes: {', '.join(evidence.roles()[pid] for pid in alike)}")
    spawned = [int(spawn["pid"]) for spawn in evidence.records.of("spawn") if spawn.get("program") == role]
    if alike or spawned:
        return (alike or spawned)[0]
    raise MissingRecord(f"there was no process '{role}'")


@function("records", "len(pids()) == 3")
def pids(evidence: Evidence) -> tuple[int, ...]:
    """all pids of the scenario"""
    for sample in evidence.samples():
        require_complete(sample, "a sample")
    return tuple(evidence.roles())


@function("records", "role_of(pid('hog')) == 'hog' and role_of(1) == ''")
def role_of(evidence: Evidence, pid: int) -> str:
    """the role of a pid, or `''`"""
    found = evidence.roles().get(pid, "")
    # Without a role it may be one of the processes that the agent did not watch.
    for sample in evidence.samples() if not found else ():
        require_complete(sample, "a sample")
    return found


@function("records", "step('outcome').ok and 'oom' in step('outcome').saw")
def step(evidence: Evidence, id: str) -> Any:
    """what became of the plan's step with that `id`: `.ok`, `.errno`, `.error`, `.saw`, `.took`"""
    for each in evidence.steps():
        if each.get("id") == id:
            return view(each, f"step '{id}'")
    raise MissingRecord(f"the step '{id}' was not begun")


@function("records", "exit_of('hog').signal == 'KILL'")
def exit_of(evidence: Evidence, role: str) -> Any:
    """the end of a process: `.code` or `.signal`"""
    for record in _recorded_of(evidence, "exit", role):
        return view(record, f"exit of '{role}'")
    raise MissingRecord(f"no end of '{role}' was recorded")


@function("records", "check_of('parent').rss_kb * 1024 >= params.parent")
def check_of(evidence: Evidence, role: str) -> Any:
    """the last `check_rss` of a process: `.taken_kb`, `.min_kb`, `.ok`, and `.rss_kb` counted from its page tables. The
    `rss_kb` and `anon_kb` of a sample lag behind by up to 64 pages
    """
    for record in reversed(_recorded_of(evidence, "check", role)):
        return view(record, f"check of '{role}'")
    raise MissingRecord(f"the plan did not check what '{role}' holds")


@function("records", "taken_by('parent', 'hog') >= params.parent + params.hog")
def taken_by(evidence: Evidence, *roles: str) -> int:
    """bytes of memory that these processes have for themselves, at the last `check_rss` of each: anonymous and shared
    memory, in RAM and swapped out, and files of a tmpfs that they have open, also those of memfd_create(2). Each page
    counts once however often it is mapped or merged, and processes with one address space (CLONE_VM) count once. What
    they have given back (MADV_FREE), other files, and swapped-out pages that hold nothing do not count. What a
    program takes is judged on this: its RSS can be ten times as much
    """
    found = {}
    for role in roles:
        check = check_of(evidence, role)
        found[int(check.vm if "vm" in check else check.pid)] = _taken(check)
    return sum(found.values())


def _taken(check: Any) -> int:
    if "taken_kb" in check:
        return int(check.taken_kb) * KIB
    if "pss_anon_kb" not in check:
        # Pss_Anon came with 5.4.
        return int(check.rss_kb) * KIB
    kb = sum(int(check[part]) for part in ("pss_anon_kb", "pss_shmem_kb", "swap_pss_kb") if part in check)
    return (kb - (int(check.lazy_free_kb) if "lazy_free_kb" in check else 0)) * KIB


def require_complete(seen: Record, what: str) -> Record:
    """Return the record. Raises MissingRecord where it leaves processes out: a count over it would be too small."""
    left_out = seen.get("procs_left_out")
    if left_out:
        raise MissingRecord(f"{what} leaves out {left_out} processes: the agent watches 128 at once")
    return seen


class _Incomplete(dict[str, Any]):
    """A record that leaves processes out: reading its `procs` raises MissingRecord."""

    def __getitem__(self, field: str) -> Any:
        if field == "procs":
            require_complete(self, f"the {self['ev']} '{self.get('label') or self['t']}'")
        return super().__getitem__(field)


def guard_processes(record: Record) -> Record:
    """Return the record in a form whose `procs` can be read only when it leaves no process out."""
    return _Incomplete(record) if record.get("procs_left_out") else record


@function("records", "lines_of('cow-writer')[1] == 'filled 209715200'")
def lines_of(evidence: Evidence, program: str) -> tuple[str, ...]:
    """what it printed: for showing, and for what only it can know"""
    lines = evidence.records.of("line")
    return tuple(str(line.get("text", "")) for line in lines if line.get("program") == program)


@function("records", "len(said('cow-writer', 'region')) == 1")
def said(evidence: Evidence, program: str, prefix: str) -> tuple[str, ...]:
    """what stands after the prefix in those of its lines that begin with it"""
    return tuple(text[len(prefix) :].strip() for text in lines_of(evidence, program) if text.startswith(prefix))


@function("records", "pagemap('parent-before').comm == 'parent'", run="memory-is-copied")
def pagemap(evidence: Evidence, label: str) -> Any:
    """the page map of that label"""
    for record in evidence.records.of("pagemap"):
        if record.get("label") == label:
            return view(record, f"page map '{label}'")
    raise MissingRecord(f"there is no page map '{label}'")


@function("records", "look('zones').path == '/proc/zoneinfo'")
def look(evidence: Evidence, label: str) -> Any:
    """what a step looked at under that label (`fds`, `kcmp`, `status`, `tree`, `read`)"""
    return view(require_complete(find_look(evidence, label), f"what was looked at under '{label}'"), f"look '{label}'")


@function("records", "sysctl('vm.overcommit_memory', 0) == 2", run="fork-fails/never")
def sysctl(evidence: Evidence, name: str, default: Any = None) -> Any:
    """its value after the plan set it (a number where it is one), else the default"""
    got = [record.get("got") for record in evidence.records.of("sysctl") if record.get("name") == name]
    if not got:
        given = evidence.settings.sysctls
        got = [given[name]] if name in given else [default]
    text = str(got[-1])
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else got[-1]


@function("records", "refused_forks() == 1", run="fork-fails")
def refused_forks(evidence: Evidence) -> int | None:
    """how many forks the kernel refused (EAGAIN or ENOMEM) from the plan's begin to its end. None after a panic, and
    where the kernel has no tracepoints of system calls
    """
    return count_refused_forks(evidence.records)


@function("records", "before_oom('writing-starts') and not before_oom('oom')")
def before_oom(evidence: Evidence, label: str) -> bool:
    """whether that sample was taken, and before the first OOM: how far the plan had come"""
    for record in evidence.records.items:
        if record["ev"] == "oom":
            return False
        if record["ev"] == "sample" and record.get("label") == label:
            return True
    return False
