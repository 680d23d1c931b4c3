# SPDX-License-Identifier: MIT
"""Write a scenario that replays an OOM report in a smaller guest.

It keeps the sizes of the tasks in proportion, the task that invoked the OOM killer, and the victim.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rig.errors import UsageError
from rig.klog import OomEvent, TaskRow
from rig.units import format_size

__all__ = ["Replica", "replica_of", "write_replica"]

MIB = 1 << 20
LARGEST_GUEST = 1 << 30
SMALLEST_GUEST = 128 << 20
# Memory of the guest's kernel, agent and page tables: it does not shrink with the sizes of the tasks.
OVERHEAD = 96 << 20
MOST_TASKS = 12
SMALLEST_SHARE = 0.01


@dataclass(frozen=True)
class Part:
    """A task of the report, as a program of the scenario.

    size: scaled resident memory, in bytes.
    """

    name: str
    comm: str
    pid: int
    size: int
    oom_score_adj: int


@dataclass(frozen=True)
class Replica:
    """The part of a report that the scenario reproduces.

    memory: memory of the guest, in bytes.
    scale: divisor of every size.
    holders: the tasks that hold memory before it runs out.
    grower: the task that invoked the OOM killer.
    victim: name of the part that was killed; None if the killed task is not among the parts.
    """

    memory: int
    scale: float
    holders: tuple[Part, ...]
    grower: Part
    victim: str | None


def replica_of(oom: OomEvent) -> Replica:
    """Return the replica of a report.

    Raises UsageError when the report lacks the memory total, the task table or the invoker.
    """
    pages = oom.totals.get("pages_ram")
    if not pages or not oom.tasks or oom.invoker is None:
        raise UsageError(
            "the report has no memory total, no task table or no invoker",
            remedy="give it the whole report, Mem-Info and 'Tasks state' included",
        )
    page = oom.page_kb * 1024
    ram = pages * page
    scale = max(1.0, ram / LARGEST_GUEST)
    scaled = max(SMALLEST_GUEST, round(ram / scale / MIB) * MIB)
    scale = ram / scaled
    large = sorted(oom.tasks, key=lambda task: -task.rss)
    wanted = [task for task in large if task.rss * page >= SMALLEST_SHARE * ram][:MOST_TASKS]
    asking = next((task for task in oom.tasks if task.pid == oom.invoker.pid), None)
    grower = _part(asking, page, scale, {}) if asking else Part("grower", oom.invoker.comm, oom.invoker.pid or 0, 0, 0)
    names: dict[str, int] = {grower.name: 1}
    holders = tuple(_part(task, page, scale, names) for task in wanted if task.pid != oom.invoker.pid)
    killed = oom.victim.pid if oom.victim else None
    victim = next((part.name for part in (grower, *holders) if part.pid == killed), None)
    return Replica(scaled + OVERHEAD, scale, holders, grower, victim)


def _part(task: TaskRow, page: int, scale: float, names: dict[str, int]) -> Part:
    name = re.sub(r"[^a-z0-9]+", "-", task.name.lower()).strip("-") or "task"
    name = name if name[0].isalpha() else f"task-{name}"
    names[name] = names.get(name, 0) + 1
    unique = name if names[name] == 1 else f"{name}-{names[name]}"
    size = max(1, round(task.rss * page / scale / MIB)) * MIB
    return Part(unique, task.name, task.pid, size, task.oom_score_adj or 0)


def write_replica(name: str, oom: OomEvent, log: Path) -> dict[str, str]:
    """Return the files of the scenario: file name -> text."""
    replica = replica_of(oom)
    return {"scenario.toml": _toml(name, replica), "README.md": _story(name, replica, oom, log)}


def _toml(name: str, replica: Replica) -> str:
    parts = [
        f'title = "{name}: an OOM of production, in small"',
        'summary = "Programs as large as those of an OOM report, and one that asks for more than there is."',
        "",
    ]
    for part in replica.holders:
        parts += _parameter(part, f"what {_safe(part.comm)} (pid {part.pid} of the report) held")
    parts += [
        "[guest]",
        f'memory = "{format_size(replica.memory)}"',
        "",
        "# The one that grows asks for more than there is; without this the kernel would refuse that at once.",
        "[sysctls]",
        '"vm.overcommit_memory" = 1',
        "",
        "[[programs]]",
        'name = "hog"',
        'source = "hog"',
        "",
        f"# {_safe(replica.grower.comm)} asks for the last page: it takes all memory there is.",
        "[plan]",
        "steps = [",
        '  { do = "sample", label = "start" },',
    ]
    for part in replica.holders:
        parts += [
            f'  {{ do = "spawn", program = "{part.name}", run = "hog", oom_score_adj = {part.oom_score_adj}, '
            f'arg = ["{{{{ {_name(part)} }}}}"] }},',
            f'  {{ do = "wait_state", program = "{part.name}", state = "T", timeout = 600 }},',
            f'  {{ do = "check_rss", program = "{part.name}", min = "{{{{ {_name(part)} }}}}" }},',
        ]
    grower = replica.grower
    parts += [
        '  { do = "sample", label = "held" },',
        f'  {{ do = "spawn", program = "{grower.name}", run = "hog", oom_score_adj = {grower.oom_score_adj}, '
        'arg = ["{{ guest.memory }}"] },',
        f'  {{ do = "wait_any", oom = true, exit = ["{grower.name}"], settle = 1, timeout = 600 }},',
        '  { do = "end", reason = "decided", when = "not to_the_end" },',
        f'  {{ do = "wait_exit", program = "{grower.name}", timeout = 600 }},',
        "]",
        "",
        *_claims(replica),
    ]
    return "\n".join(parts) + "\n"


def _claims(replica: Replica) -> list[str]:
    lines: list[str] = []
    for part in replica.holders:
        lines += [
            "[[claims]]",
            f'id = "{part.name}-holds"',
            'kind = "condition"',
            f'text = "{part.name} holds its memory"',
            f'values.held = {{ expr = "taken_by(\'{part.name}\')", unit = "bytes" }}',
            f'expr = "held >= params.{_name(part)}"',
            "",
        ]
    lines += [
        "[[claims]]",
        'id = "oom-came"',
        'text = "memory ran out, and one of the scenario\'s programs asked for the last page"',
        'values.invoker = "oom.invoker.pid"',
        'expr = "invoker in pids()"',
        "",
    ]
    if replica.victim is not None:
        lines += [
            "[[claims]]",
            'id = "same-victim"',
            f'text = "the kernel killed {replica.victim}, as it did in the report"',
            'values.killed = "[spawn.program for spawn in spawns if spawn.pid == oom.victim.pid]"',
            f"expr = \"killed == ['{replica.victim}']\"",
            'needs = ["oom-came"]',
        ]
    return lines


def _parameter(part: Part, text: str) -> list[str]:
    return [
        f"[parameters.{_name(part)}]",
        'type = "size"',
        f'default = "{format_size(part.size)}"',
        'min = "1M"',
        f'help = "{text}"',
        "",
    ]


def _name(part: Part) -> str:
    return part.name.replace("-", "_") + "_size"


def _safe(text: str) -> str:
    """Return text from a log without characters that have a meaning in TOML or Markdown."""
    return re.sub(r"[^\w .:/+-]", "?", text, flags=re.ASCII)


def _story(name: str, replica: Replica, oom: OomEvent, log: Path) -> str:
    rows = "\n".join(
        f"| {part.name} | {_safe(part.comm)} ({part.pid}) | {format_size(part.size)} | {part.oom_score_adj} |"
        for part in replica.holders
    )
    victim = oom.victim
    killed = f"{_safe(victim.comm)} ({victim.pid})" if victim else "nobody"
    return f"""# {name}

Made from the OOM report in `{_safe(log.name)}`: {_safe(replica.grower.comm)} asked for memory when there was none, and
the kernel killed {killed}.

Every size is that of the report, divided by {replica.scale:.1f}. The guest has {format_size(replica.memory)}, of which
{format_size(OVERHEAD)} are for its own kernel. Tasks that held less than {SMALLEST_SHARE:.0%} of memory are left out.

| program here | task of the report | holds | oom_score_adj |
|---|---|---|---|
{rows}

{replica.grower.name} plays {_safe(replica.grower.comm)}: it takes memory until there is none. It grows from nothing,
where the task of the report may have held memory for long, so compare who is killed before you read more into it.

    rig run ./{name}
    rig show ./{name}
"""
