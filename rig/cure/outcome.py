# SPDX-License-Identifier: MIT
"""What a change did: the run with it beside the control, which is the same run without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rig.klog import read
from rig.klog.kinds import Kind
from rig.scenario.refusals import count_refused_forks

if TYPE_CHECKING:
    from rig.run.document import Run
    from rig.run.records import Records

__all__ = ["ORDER", "Observed", "Outcome", "compare_runs", "observe"]

Class = Literal[
    "prevented", "refused earlier", "another died", "later", "stalled", "no difference", "worse", "not applicable"
]
ORDER: tuple[Class, ...] = (
    "prevented", "refused earlier", "another died", "later", "stalled", "no difference", "worse", "not applicable",
)  # fmt: skip
"""The best first."""
REFUSAL = re.compile(r"(?P<call>[\w().]+): (?:ENOMEM|EAGAIN)\b")
FORKS = ("fork", "vfork", "clone", "clone3", "posix_spawn")
"""The calls whose refusals the agent has the kernel count (guest/agent/forks.c)."""
LATER = 0.10
"""The fraction of the time to the failure by which a failure must come later, or earlier, to count."""
SLOW = 2.0
"""A stall counts that is so many guest seconds longer than the control's."""


@dataclass(frozen=True)
class Observed:
    """What a run shows of the failure. Times in guest seconds.

    began: when the first program was started.
    failed: when the kernel was called for the kill, or refused; None when it was not.
    victims: comm of each process that was killed.
    refusals: the calls that the kernel refused for lack of memory.
    available: kB that were available before the first program.
    lines: time of each line that a program printed, by program and text.
    problem: why the run says nothing, or an empty text.
    killer: the program that killed the victims in the kernel's place, or an empty text.
    tied: comm of each process that might as well have been the first victim.
    """

    began: float
    failed: float | None
    victims: tuple[str, ...]
    panicked: bool
    refusals: tuple[str, ...]
    stalled: float
    stall_cause: str
    available: int
    ended: float
    lines: Mapping[tuple[str, str], float]
    problem: str = ""
    killer: str = ""
    tied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a change did.

    detail: who died, which call was refused, how much later, how long it stalled by what.
    unusable_kb: memory that was not available any more before the first program; negative for more.
    slowdown: the survivors' time for the same work, as a multiple of the control's; None where they printed nothing
        after the change.
    """

    kind: Class
    detail: str = ""
    unusable_kb: int = 0
    slowdown: float | None = None


def observe(run: Run, records: Records) -> Observed:
    """Return what a run shows."""
    spawns = records.of("spawn")
    began = float(spawns[0]["t"]) if spawns else 0.0
    lines: dict[tuple[str, str], float] = {}
    for line in records.of("line"):
        lines.setdefault((str(line.get("program")), str(line.get("text", ""))), float(line["t"]))
    samples = records.of("sample")
    meminfo: Mapping[str, Any] = (samples[0].get("meminfo") if samples else None) or {}
    longest = max(run.stalls, key=lambda stall: stall.length, default=None)
    oom = run.ooms[0] if run.ooms else None
    victims = tuple(name.rsplit(" (", 1)[0] for each in run.ooms for name in each.killed)
    failed = oom.time if oom is not None else None
    by_program = _kills_by_program(records) if oom is None else []
    if by_program:
        failed, victims = by_program[0][0], tuple(comm for _, comm, _ in by_program)
    return Observed(
        began=began,
        failed=failed,
        victims=victims,
        tied=tuple(oom.tied_with) if oom is not None else (),
        panicked=run.panic is not None,
        refusals=tuple(dict.fromkeys(_refusals(records))),
        stalled=longest.length if longest is not None else 0.0,
        stall_cause=longest.cause if longest is not None else "",
        available=int(meminfo.get("MemAvailable", 0)),
        ended=run.guest_seconds or 0.0,
        lines=lines,
        problem=_problem(run),
        killer=by_program[0][2] if by_program else "",
    )


def _refusals(records: Records) -> Iterator[str]:
    """Yield the calls that were refused for lack of memory.

    The kernel counts refused forks, so a program's word for one counts only if the kernel refused some. Where the
    kernel does not count them, and for other calls, the program is believed.
    """
    counted = count_refused_forks(records)
    named = False
    for line in records.of("line"):
        match = REFUSAL.match(str(line.get("text", "")))
        if match is None:
            continue
        if match["call"] in FORKS:
            if counted == 0:
                continue
            named = True
        yield f"{match['call']} of {line.get('program')}"
    if counted and not named:
        yield "fork of a program that does not say so"
    for step in records.of("step"):
        if step.get("errno") == "ENOMEM":
            yield f"step {step.get('verb')}"


def _kills_by_program(records: Records) -> list[tuple[float, str, str]]:
    """Return (time, comm, program that killed it) of each process that a user-space killer said that it killed."""
    found: dict[str, tuple[float, str, str]] = {}
    for line in records.of("line"):
        program, text = str(line.get("program")), str(line.get("text", ""))
        if "sending SIG" not in text:
            continue
        # The reader of logs knows what these programs write; their name stands before it there.
        for event in read([f"{program}: {text}\n".encode()]).events:
            if event.kind is Kind.USER_KILL and event.task is not None:
                found.setdefault(event.task.comm, (float(line["t"]), event.task.comm, program))
    return list(found.values())


def _problem(run: Run) -> str:
    """Return why the run cannot tell anything: rig or the guest broke, or a step of the plan failed."""
    if run.verdict == "error":
        return run.reason or "rig or the guest broke"
    step = next(
        (each for each in run.steps if not each.ok and each.verb in ("sysctl", "write", "swapon", "cgroup")), None
    )
    return f"{step.verb}: {step.error}" if step is not None else ""


def compare_runs(control: Observed, run: Observed) -> Outcome:
    """Return what the change did."""
    unusable = control.available - run.available
    slowdown = _slowdown(control, run)

    def outcome(kind: Class, detail: str = "") -> Outcome:
        return Outcome(kind, detail, unusable, slowdown)

    if run.problem:
        return Outcome("not applicable", run.problem)
    refused = [call for call in run.refusals if call not in control.refusals]
    if run.panicked and not control.panicked:
        return outcome("worse", "the kernel panicked")
    if not run.victims and run.failed is None:
        if refused:
            return outcome("refused earlier", ", ".join(refused[:3]))
        if run.refusals:
            return outcome("no difference", ", ".join(run.refusals[:3]))
        if run.stalled > control.stalled + SLOW:
            return outcome("stalled", f"{run.stalled:.0f} s, {run.stall_cause}")
        return outcome("prevented")
    return outcome(*_of_kill(control, run, refused))


def _of_kill(control: Observed, run: Observed, refused: list[str]) -> tuple[Class, str]:
    if refused and not control.victims:
        return "no difference", ", ".join(refused[:3])
    if control.failed is None or run.failed is None:
        return ("worse", f"{', '.join(run.victims)} was killed") if run.victims else ("no difference", "")
    time, usual = run.failed - run.began, control.failed - control.began
    tie, by = "", f", by {run.killer}" if run.killer else ""
    if len(run.victims) > len(control.victims):
        return "worse", f"{len(run.victims)} were killed: {', '.join(run.victims[:4])}{by}"
    if run.victims[:1] != control.victims[:1]:
        if not _tie(control, run):
            return "another died", (", ".join(run.victims) or "nobody") + by
        tie = f"{run.victims[0]} died, in a tie with {control.victims[0]}"
    if run.killer:
        # To kill before the kernel does is what it is for.
        return "no difference", f"{', '.join(run.victims)}{by} at {time - usual:+.0f} s"
    if time > usual * (1 + LATER):
        return "later", f"{time - usual:+.0f} s"
    if time < usual * (1 - LATER):
        return "worse", f"{time - usual:+.0f} s"
    return "no difference", tie


def _tie(control: Observed, run: Observed) -> bool:
    """Return whether either victim might as well have been the other: the change then made no difference."""
    return any(name in control.tied for name in run.victims[:1]) or any(
        name in run.tied for name in control.victims[:1]
    )


def _slowdown(control: Observed, run: Observed) -> float | None:
    """Compare the time between the first and the last line that both runs have, from the first program on."""
    common = sorted(control.lines.keys() & run.lines.keys(), key=lambda key: control.lines[key])
    if len(common) < 2:
        return None
    first, last = common[0], common[-1]
    usual = control.lines[last] - control.lines[first]
    return (run.lines[last] - run.lines[first]) / usual if usual > 0 else None
