# SPDX-License-Identifier: MIT
"""Measure checks in guests: a few guests, many checks in each, and a new guest after one that a check ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.experiment.execute import execute
from rig.experiment.execution import BOOT_DEADLINE, Deadlines
from rig.experiment.prepare import Parts, prepare_guest
from rig.finishing import gathered
from rig.image.payload import Payload
from rig.image.store import Store
from rig.run.progress import NullProgress
from rig.scenario.plan import PROGRAM_DIRECTORY
from rig.scenario.settings import guest_settings
from rig.verify.check import Batch, Check
from rig.verify.facts import collect_facts

__all__ = ["PROGRAM", "Lab", "Measured", "Task", "measure"]

PROGRAM = "verify"
# One CPU: on the warp clock a guest with two CPUs hangs at the start of the second (QEMU 7.2).
MEMORY, NUMA_MEMORY = "160M", "224M"
NUMA = (
    "-object", "memory-backend-ram,id=node0,size=160M",
    "-object", "memory-backend-ram,id=node1,size=64M",
    "-numa", "node,nodeid=0,cpus=0,memdev=node0",
    "-numa", "node,nodeid=1,memdev=node1",
)  # fmt: skip
ZRAM = 64 << 20
# The agent's plan takes a few dozen arguments a program (MAX_ARGS of guest/agent/agent.h).
CHECKS_A_PROGRAM = 24
RUN = 120.0


@dataclass(frozen=True)
class Task:
    """A check to measure, or its mutant: the check with one of its conditions negated."""

    check: Check
    condition: str = ""

    @property
    def title(self) -> str:
        """What the guest's program calls it: CHECK or CHECK~CONDITION."""
        return f"{self.check.name}~{self.condition}" if self.condition else self.check.name


Measured = Mapping[str, dict[str, str]]
"""Title of a task -> its facts; one that no guest reported of has the fact `lost` alone: why."""


@dataclass(frozen=True)
class Lab:
    """Where guests are run: the cache, the kernel's parts, and the directory for what they report."""

    store: Store
    parts: Parts
    out: Path
    capacity: Capacity
    timeout_scale: float = 1.0
    report: Callable[[str], None] = lambda guest: None
    """Called with the name of each guest that is over."""


def _plan(tasks: Sequence[Task]) -> str:
    """Return the plan: first the checks without swap, then those with swap; each program runs several checks."""
    lines = []
    for swap in (False, True):
        titles = [task.title for task in tasks if (task.check.batch == "swap") == swap]
        if swap and titles:
            lines.append(f"swapon\tzram={ZRAM}")
        for number, first in enumerate(range(0, len(titles), CHECKS_A_PROGRAM)):
            program = f"{'swap' if swap else 'checks'}-{number}"
            words = [f"arg={{payload}}/{PROGRAM_DIRECTORY}/{PROGRAM}", "arg=--harmful"]
            words += [f"arg={title}" for title in titles[first : first + CHECKS_A_PROGRAM]]
            lines.append("\t".join(["spawn", f"program={program}", *words]))
            lines.append(f"wait_exit\tprogram={program}\ttimeout=3000")
    return "\n".join([*lines, "end\treason=done", ""])


def _groups(tasks: Iterable[Task]) -> dict[str, list[Task]]:
    """Return the tasks by the guest that they share. A check that panics the kernel has a guest of its own."""
    shared: dict[Batch, str] = {"commit": "commit", "swap": "commit", "oom": "oom", "numa": "numa"}
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        groups.setdefault(shared.get(task.check.batch, task.title), []).append(task)
    return groups


async def measure(lab: Lab, tasks: Sequence[Task]) -> Measured:
    """Measure tasks on a kernel. After a guest that breaks, or that a check ends, the other checks run in a new one."""
    groups = _groups(tasks)
    found: dict[str, dict[str, str]] = {}
    for facts in await gathered(_measure_group(lab, name, group) for name, group in groups.items()):
        found |= facts
    return found


async def _measure_group(lab: Lab, name: str, tasks: Sequence[Task]) -> Measured:
    found: dict[str, dict[str, str]] = {}
    left = list(tasks)
    attempt = 0
    while left:
        attempt += 1
        guest = f"{name}-{attempt}" if attempt > 1 else name
        async with lab.capacity.room_for(guest_settings([f"memory={_memory(left[0])}"]).memory):
            facts, problem = await _run_guest(lab, guest, left)
        lab.report(guest)
        titles = {task.title for task in left}
        found |= {title: each for title, each in facts.items() if title in titles}
        rest = [task for task in left if task.title not in found]
        if len(rest) == len(left):
            # The guest measured no check at all, so another guest would fail the same way.
            found |= {task.title: {"lost": problem or "its program reported nothing"} for task in rest}
            break
        left = rest
    return found


def _memory(task: Task) -> str:
    return NUMA_MEMORY if task.check.batch == "numa" else MEMORY


async def _run_guest(lab: Lab, name: str, tasks: Sequence[Task]) -> tuple[Measured, str]:
    """Run one guest. Return its facts, and why it ended early (empty: it did not)."""
    numa = NUMA if tasks[0].check.batch == "numa" else ()
    settings = guest_settings([f"memory={_memory(tasks[0])}"])
    prepared = await prepare_guest(settings, store=lab.store, parts=lab.parts, qemu_args=numa)
    files = {f"{PROGRAM_DIRECTORY}/{PROGRAM}": lab.parts.code.programs[PROGRAM]}
    out = lab.out / name
    out.mkdir(parents=True)
    try:
        execution = await execute(
            prepared,
            Payload(plan=_plan(tasks), files=files),
            out,
            name=f"verify-{name}",
            deadlines=Deadlines(BOOT_DEADLINE, RUN).scaled(lab.timeout_scale),
            progress=NullProgress(),
        )
        facts = collect_facts(out)
    except RigError as error:
        return {}, error.what
    return facts, execution.problem.what if execution.problem is not None else ""
