# SPDX-License-Identifier: MIT
"""Acts: what is done to a running guest at a branch point, as steps of the plan."""

from __future__ import annotations

import shlex

from rig.branch.origin import Source
from rig.branch.point import Point
from rig.errors import UsageError
from rig.scenario.plan import RenderedStep
from rig.scenario.suggestion import did_you_mean

__all__ = ["parse_cgroup", "parse_signal", "parse_spawn", "parse_write"]


def parse_signal(text: str, source: Source, point: Point) -> RenderedStep:
    """Return the step of `PROGRAM=SIGNAL` or `PROGRAM/COMM=SIGNAL`. Raises UsageError for a program that does not run.

    Without COMM the signal is for the process that the plan spawned, with COMM for all of that name among its
    descendants.
    """
    name, number = _pair(text, "--signal", "hog=KILL")
    program, _, comm = name.partition("/")
    spawned = _spawned(source, point)
    if program not in spawned:
        raise UsageError(
            f"no step before '{point.text}' spawns a program '{program}'",
            where=f"--signal {text}",
            remedy=did_you_mean(program, spawned, kind="program"),
        )
    words = [("program", program), *([("comm", comm)] if comm else []), ("signal", number.removeprefix("SIG"))]
    return RenderedStep("signal", tuple(words))


def parse_write(text: str) -> RenderedStep:
    """Return the step of `PATH=VALUE`: a write to a file of proc, sys or a cgroup."""
    path, value = _pair(text, "--write", "/sys/kernel/mm/transparent_hugepage/enabled=never")
    if not path.startswith("/"):
        raise UsageError(f"'{path}' is not an absolute path", where=f"--write {text}", remedy="begin it with /")
    return RenderedStep("write", (("path", path), ("value", value)))


def parse_cgroup(text: str) -> RenderedStep:
    """Return the step of `GROUP:KEY=VALUE`, which sets a file of a cgroup."""
    name, value = _pair(text, "--cgroup", "service:memory.max=100M")
    group, colon, key = name.partition(":")
    if not colon or "." not in key or not group:
        raise UsageError(
            f"'{name}' does not name a cgroup and one of its files",
            where=f"--cgroup {text}",
            remedy="write it as in service:memory.max=100M",
        )
    return RenderedStep("cgroup", (("name", group), (key, value)))


def parse_spawn(text: str, source: Source) -> RenderedStep:
    """Return the step of `ROLE=PROGRAM ARGUMENT…`: one more process of a program that the scenario brings."""
    role, command = _pair(text, "--spawn", "'hog2=hog 50M'")
    words = shlex.split(command)
    programs = {program.name: program for program in source.plan.programs}
    if not words or words[0] not in programs:
        raise UsageError(
            f"the scenario has no program '{words[0] if words else ''}'",
            where=f"--spawn {text}",
            remedy=did_you_mean(words[0] if words else "", programs, kind="program"),
        )
    program = programs[words[0]]
    root = [("root", program.name)] if program.layers else []
    arguments = [("arg", word) for word in (*program.arguments, *words[1:])]
    return RenderedStep("spawn", (("program", role), *root, *arguments))


def _pair(text: str, option: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UsageError(f"'{text}' is not an act", where=option, remedy=f"write it as in {option} {example}")
    return name.strip(), value.strip()


def _spawned(source: Source, point: Point) -> list[str]:
    steps = source.plan.steps[: point.first]
    return list(dict.fromkeys(dict(step.words)["program"] for step in steps if step.verb == "spawn"))
