# SPDX-License-Identifier: MIT
"""Judge whether every program, and every child of one, ended only as the scenario means it to.

An end is explained for one process, by its pid: the plan sent that process the signal, or the kernel's report names it
as killed. A step that waits for an end, and what processes do whose fellow was killed, explain a status other than 0.

The kernel's report names one process. Others that have its address space are killed with it, without a word
(__oom_kill_process(), mm/oom_kill.c): the agent records whose address space was shared.

The agent has the ends from the kernel's process events, so that it also learns of a child that its parent reaped at
once. Where these events are missing, the condition says so. Where some were lost, it is invalid if a fork was among
them, or if the end of a process is not known and nothing explains it.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rig.run.document import Claimed, ClaimVerdict
from rig.run.records import Record
from rig.scenario.evidence import CLOCK_SLACK, Evidence

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["PROGRAMS", "programs_lived"]

PROGRAMS = "programs-lived"
TEXT = "no program and no child of one ended that was not meant to"
MOST_SHOWN = 5
CGROUPS = "/sys/fs/cgroup/"
ENDS_A_PROGRAM = frozenset(("HUP", "INT", "QUIT", "TERM", "KILL"))
SYSRQ_SIGNALS = {"e": "TERM", "i": "KILL"}
FOR_CHILDREN = ("HUP", "TERM", "KILL")
"""Signals that end the children of a program that ends: its own, that of a parent's death, that of a lost terminal."""


@dataclass
class Explained:
    """What explains ends, up to a point of the run.

    sent: by pid, the signals that the plan sent.
    to_all: the signals that the plan sent to every process, by SysRq.
    passed_on: by program, the signals by which its children may end: once the plan told its own process to end, or all
        of their cgroup are killed.
    disturbed: the programs of which a process was signalled or killed: what their children do then is a consequence. A
        database ends all of its workers when the OOM killer has killed one.
    """

    sent: dict[object, set[str]] = field(default_factory=dict)
    to_all: set[str] = field(default_factory=set)
    passed_on: dict[str, set[str]] = field(default_factory=dict)
    disturbed: set[str] = field(default_factory=set)

    def signal(self, program: str, pid: object, signal: str, *, own: bool) -> None:
        """Add a signal of the plan.

        own: whether it went to the process that the plan spawned.
        """
        self.sent.setdefault(pid, set()).add(signal)
        self.disturbed.add(program)
        if own and signal in ENDS_A_PROGRAM:
            self.passed_on.setdefault(program, set()).update((signal, *FOR_CHILDREN))

    def kill(self, program: str, pid: object, *, group: bool) -> None:
        """Add a process that the kernel's report names as killed.

        group: whether the report says that all of its cgroup are killed (memory.oom.group): not each has a line there.
        """
        self.sent.setdefault(pid, set()).add("KILL")
        self.disturbed.add(program)
        if group:
            self.passed_on.setdefault(program, set()).add("KILL")


MayFail = Callable[[str, str | None], bool]


def programs_lived(evidence: Evidence, may_fail: MayFail, refused: Container[object]) -> Claimed:
    """Return the judged condition.

    may_fail: whether the scenario lets a program end in failure, or its child of that comm.
    refused: the pids of programs that ended because the kernel refused their fork, which is a claim of its own.
    """
    spawned = {record.get("pid"): str(record.get("program")) for record in evidence.records.of("spawn")}
    awaited = set(_awaited(evidence))
    died, unknown = [], []
    for record, by in _ends(evidence, spawned):
        how, pid = _how(record), record.get("pid")
        if pid in refused or how == "":
            continue
        name = spawned.get(pid)
        program, comm = name or str(record.get("program", "")), str(record.get("comm", ""))
        if may_fail(program, None if name else comm) or _explains(by, record, program, own=name is not None):
            continue
        if how is None:
            unknown.append(_child(record))
            continue
        if not record.get("signal") and (program if name else f"{program}/{comm}") in awaited:
            continue
        died.append(f"{name} ({pid}) {how}{_last_words(evidence, name)}" if name else f"{_child(record)} {how}")
    more = [f"and {len(died) - MOST_SHOWN} more"] if len(died) > MOST_SHOWN else []
    verdict, unseen = _unseen(evidence, may_fail, unknown)
    return Claimed(
        id=PROGRAMS,
        text=TEXT,
        kind="condition",
        verdict="failed" if died else verdict,
        values=(),
        reason="; ".join([*died[:MOST_SHOWN], *more] or unseen),
    )


def _child(record: Record) -> str:
    comm, program = record.get("comm") or "a process", record.get("program")
    of = f"a child of {program}" if program else "of a program that is not known"
    return f"{comm} ({record.get('pid')}), {of},"


def _unseen(evidence: Evidence, may_fail: MayFail, unknown: list[str]) -> tuple[ClaimVerdict, list[str]]:
    """Return the verdict where no end is known that nothing explains, and why it is not `held`.

    unknown: the processes of which the agent does not know how they ended.
    """
    end = evidence.end() or {}
    if (evidence.records.first("go") or {}).get("ends") is False:
        return "not-applicable", [
            "this kernel has no CONFIG_PROC_EVENTS: the end of a child that its parent reaped at once is not seen"
        ]
    if end.get("ends_meddled") is True:
        return "invalid", ["a program changed whether the kernel tells of the ends of processes"]
    missing = []
    if end.get("ends_silent") is True:
        missing.append("the kernel told of no fork or end any more when the plan ended")
    lost, untracked = end.get("ends_lost"), end.get("lives_left_out")
    if lost and end.get("forks_lost") != 0:
        missing.append(f"{lost} of the kernel's events of forks and ends were lost")
    elif lost and untracked:
        missing.append(
            f"{lost} of the kernel's events of ends were lost, and {untracked} processes were forked while more lived"
            " than the agent follows"
        )
    elif lost and unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        missing.append(f"the kernel's event of the end of {unknown[0].rstrip(',')}{more} was lost")
    left_out = _left_out(end, may_fail)
    if left_out:
        missing.append(f"{left_out} more processes failed than the agent records")
    return ("invalid" if missing else "held"), missing


def _left_out(end: Record, may_fail: MayFail) -> int:
    """Return how many failing ends are recorded by their number alone, without those that the scenario allows."""
    total, named = end.get("ends_left_out"), end.get("left_out_of")
    allowed = 0
    for each in named if isinstance(named, list) else ():
        if isinstance(each, list) and len(each) == 3 and isinstance(each[2], int):
            allowed += each[2] if may_fail(str(each[0]), str(each[1])) else 0
    return max(total - allowed, 0) if isinstance(total, int) else 0


def _explains(by: Explained, record: Record, program: str, *, own: bool) -> bool:
    """Return whether a signal or a kill explains the end of a process.

    own: whether it is the process that the plan spawned.
    """
    pid, signal = record.get("pid"), record.get("signal")
    sent = by.sent.get(pid, set()) | by.to_all
    if signal:
        return signal in sent or (not own and signal in by.passed_on.get(program, ()))
    return bool(sent) or (not own and program in by.disturbed)


def _ends(evidence: Evidence, spawned: dict[object, str]) -> Iterator[tuple[Record, Explained]]:
    """Yield each `exit` record, with what explained ends until then."""
    killed = {kill.pid: oom for oom in evidence.ooms() for kill in oom.kills}
    ends = evidence.records.of("exit")
    spaces = {end["vm"]: killed[end["pid"]] for end in ends if end.get("pid") in killed and "vm" in end}
    programs = {record.get("pid"): str(record.get("program", "")) for record in ends} | spawned
    by, by_name = Explained(), "ends" not in (evidence.records.first("go") or {})
    for record in evidence.records.items:
        pid = record.get("pid")
        if record["ev"] == "oom":
            for victim, oom in killed.items():
                if _is_over(oom, record):
                    by.kill(programs.get(victim, ""), victim, group=oom.oom_group)
        elif record["ev"] == "signal":
            by.signal(str(record.get("program")), pid, str(record.get("signal")), own=pid in spawned)
        elif record["ev"] in ("cgroup", "write"):
            _add_cgroup_kill(by, evidence, str(record.get("path", "")), spawned)
            _add_sysrq(by, record, spawned)
        elif record["ev"] == "step" and by_name:
            _add_by_name(by, evidence, record, spawned)
        elif record["ev"] == "exit":
            if pid in killed:
                # Of the last kill before a panic the agent may have no `oom` record.
                by.kill(str(record.get("program", "")), pid, group=killed[pid].oom_group)
            elif record.get("vm") in spaces and _is_over(spaces[record["vm"]], record):
                by.kill(str(record.get("program", "")), pid, group=False)
            yield record, by


def _is_over(oom: OomEvent, record: Record) -> bool:
    return oom.time is None or oom.time <= float(record["t"]) + CLOCK_SLACK


def _add_sysrq(by: Explained, record: Record, spawned: dict[object, str]) -> None:
    """Add the signal of SysRq e or i, which the kernel sends to every process but init (drivers/tty/sysrq.c).

    Of more than one key the kernel takes the first alone, or all after an underscore
    (Documentation/admin-guide/sysrq.rst).
    """
    if record.get("path") != "/proc/sysrq-trigger":
        return
    asked = str(record.get("asked", ""))
    for key in asked[1:] if asked.startswith("_") else asked[:1]:
        if key in SYSRQ_SIGNALS:
            by.to_all.add(SYSRQ_SIGNALS[key])
            for program in ("", *spawned.values()):
                by.passed_on.setdefault(program, set()).update((SYSRQ_SIGNALS[key], *FOR_CHILDREN))
                by.disturbed.add(program)


def _add_cgroup_kill(by: Explained, evidence: Evidence, path: str, spawned: dict[object, str]) -> None:
    """Add SIGKILL for the programs of a cgroup whose `cgroup.kill` the plan writes.

    The kernel sends it to every process there and below, and reports none (cgroup_kill(), kernel/cgroup/cgroup.c).
    """
    group, _, file = path.removeprefix(CGROUPS).rpartition("/")
    if file != "cgroup.kill":
        return
    spawns = [dict(step.words) for step in evidence.plan.steps if step.verb == "spawn"]
    there = {words.get("program") for words in spawns if f"{words.get('cgroup', '')}/".startswith(f"{group}/")}
    for pid, program in spawned.items():
        if program in there:
            by.signal(program, pid, "KILL", own=True)


def _add_by_name(by: Explained, evidence: Evidence, record: Record, spawned: dict[object, str]) -> None:
    """Add a signal of the plan to the processes of that name, in a run whose agent did not record their pids."""
    index = record.get("i")
    step = evidence.plan.steps[index] if isinstance(index, int) and 0 <= index < len(evidence.plan.steps) else None
    if step is None or step.verb != "signal":
        return
    words = dict(step.words)
    program, comm, signal = words.get("program", ""), words.get("comm"), words.get("signal", "").removeprefix("SIG")
    if signal == "CONT":
        return
    for end in evidence.records.of("exit"):
        own = spawned.get(end.get("pid")) == program
        if own if comm is None else (end.get("program"), end.get("comm")) == (program, comm):
            by.signal(program, end.get("pid"), signal, own=comm is None)


def _awaited(evidence: Evidence) -> Iterator[str]:
    """Yield PROGRAM, or PROGRAM/COMM, for whose end the plan waits."""
    for step in evidence.plan.steps:
        words = dict(step.words)
        if step.verb == "wait_exit":
            yield "/".join(words[key] for key in ("program", "comm") if key in words)
        elif step.verb == "wait_any":
            yield from (value for key, value in step.words if key == "exit")


def _how(record: Any) -> str | None:
    """Return how a process failed, empty where it did not; None where that is not known."""
    if record.get("signal"):
        return f"was ended by SIG{record['signal']}"
    code = record.get("code")
    if code is None:
        return None
    return f"ended with status {code}" if isinstance(code, int) and code else ""


def _last_words(evidence: Evidence, program: str) -> str:
    lines = [str(line.get("text")) for line in evidence.records.of("line") if line.get("program") == program]
    return f": {lines[-1][:200]}" if lines else ""
