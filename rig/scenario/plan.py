# SPDX-License-Identifier: MIT
"""Render a scenario to the plan that the agent runs, in the format of docs/reference/agent-protocol.md."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rig.errors import UsageError
from rig.scenario.expressions import AbsentSubject, Undecidable, evaluate
from rig.scenario.program_source import PROGRAM_DIRECTORY, ProgramFile, find_program
from rig.scenario.settings import Settings
from rig.scenario.suggestion import did_you_mean
from rig.scenario.templates import render
from rig.scenario.vocabulary import PLAIN_FUNCTIONS

if TYPE_CHECKING:
    from rig.scenario.load import Scenario
    from rig.scenario.parameter import Raw

__all__ = ["PROGRAM_DIRECTORY", "ProgramFile", "RenderedPlan", "RenderedStep", "parse_step", "render_plan"]

MOST_REPEATS, MOST_DIGITS = 1000, 18
PLAN_BYTES = 128 << 10
"""As in guest/agent/agent.h."""
LARGEST_PLAN = PLAN_BYTES - 2
"""Bytes: less the NUL byte at the end of the text, and one by which the agent knows that nothing was cut (plan_load()
of guest/agent/plan.c)."""
SWAP_DEVICE = "/dev/vda"
"""The swap disk is the first virtio disk of a guest, since the root filesystem is an NVDIMM (/dev/pmem)."""

ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True)
class RenderedStep:
    """A step as the agent reads it.

    source: index of the step in scenario.toml; None for a step that rig adds.
    id: the name by which claims refer to the step.
    """

    verb: str
    words: tuple[tuple[str, str], ...]
    source: int | None = None
    id: str | None = None

    def text(self) -> str:
        return "\t".join([self.verb, *(f"{key}={value.translate(ESCAPES)}" for key, value in self.words)])


def parse_step(text: str) -> RenderedStep:
    """Return the step of a line of a plan: the inverse of RenderedStep.text()."""
    verb, *words = text.split("\t")
    pairs = (word.partition("=") for word in words)
    return RenderedStep(verb, tuple((key, _unescape(value)) for key, _, value in pairs))


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: {"t": "\t", "n": "\n", "r": "\r"}.get(found[1], found[1]), text)


@dataclass(frozen=True)
class RenderedPlan:
    """The plan of one run and the programs it starts."""

    steps: tuple[RenderedStep, ...]
    programs: tuple[ProgramFile, ...]

    def text(self) -> str:
        """Return the text of the plan, one step a line."""
        return "".join(f"{step.text()}\n" for step in self.steps)


def render_plan(scenario: Scenario, settings: Settings, *, swap_device: str = SWAP_DEVICE) -> RenderedPlan:
    """Return the plan of `scenario` under `settings`.

    The order is: sysctls, swap, the roots of programs, the scenario's own steps.
    swap_device: path of the swap disk in the guest.
    Raises UsageError for a template that cannot be rendered, a missing program, and a wait without a time limit.
    """
    programs = {
        program.name: find_program(
            scenario.directory,
            program,
            render(program.source, settings.context(), where=f"{scenario.path}: program '{program.name}'"),
            f"{scenario.path}: program '{program.name}'",
        )
        for program in scenario.file.programs
    }
    steps = [RenderedStep("sysctl", (("name", name), ("value", value))) for name, value in settings.sysctls.items()]
    if settings.swap:
        # mkswap: the disk is a new, empty file in each run (swap_file()).
        steps.append(RenderedStep("swapon", (("path", swap_device), ("mkswap", "1"))))
    if settings.zram:
        steps.append(RenderedStep("swapon", (("zram", str(settings.zram)),)))
    steps += [
        RenderedStep("root", (("name", program.name), *(("layer", layer) for layer in program.layers)))
        for program in programs.values()
        if program.layers
    ]
    steps.extend(_steps(scenario, settings, programs))
    _refuse_overridden(scenario, settings, steps)
    plan = RenderedPlan(tuple(steps), tuple(programs.values()))
    if len(plan.text().encode("utf-8", "replace")) > LARGEST_PLAN:
        # The steps of the scenario alone would fit.
        raise _too_large(str(scenario.path), "leave out some of the sysctls and layers, or shorten the steps")
    return plan


def _steps(scenario: Scenario, settings: Settings, programs: dict[str, ProgramFile]) -> Iterable[RenderedStep]:
    context = settings.context()
    size = 0
    for index, step in enumerate(scenario.file.plan.steps):
        where = f"{scenario.path}: plan.steps[{index}] ({step.do})"
        when = scenario.whens.get(index)
        if when is not None:
            try:
                if not evaluate(when, settings.names(), PLAIN_FUNCTIONS):
                    continue
            except (Undecidable, AbsentSubject) as error:
                raise UsageError(f"'when' cannot be evaluated: {error}", where=where, detail=when.text) from None
        for item in range(1, _times(step.repeat, context, where) + 1):
            words = _words(step.keys, {**context, "item": item}, where)
            if step.do == "spawn":
                words = _command(words, programs, where)
            rendered = RenderedStep(step.do, tuple(_bounded(words, where)), index, step.id)
            # Counted step by step: a thousand repeats of a long text would fill memory.
            size += len(rendered.text().encode("utf-8", "replace")) + 1
            if size > LARGEST_PLAN:
                raise _too_large(where, "shorten what the step renders to, or repeat it less often")
            yield rendered


def _too_large(where: str, remedy: str) -> UsageError:
    return UsageError(
        f"the plan is larger than the {PLAN_BYTES >> 10} KiB that the agent holds", where=where, remedy=remedy
    )


def _refuse_overridden(scenario: Scenario, settings: Settings, steps: list[RenderedStep]) -> None:
    """Refuse a sysctl of the command line that a step of the plan sets to another value.

    run.json would record the value that the user asked for, although the experiment ran under the other one.
    """
    for step in steps:
        words = dict(step.words)
        name = words.get("name", "")
        if step.verb != "sysctl" or step.source is None or name not in (settings.given or {}):
            continue
        asked = settings.sysctls.get(name, "")
        if words.get("value", "").split() != asked.split():
            raise UsageError(
                f"{name}={asked} was asked for, but the plan of '{scenario.name}' sets it to {words.get('value')}",
                where=f"--set {name}={asked}",
                remedy=f"leave it out; 'rig show {scenario.name}' lists the parameters that choose it",
            )


def _times(repeat: str | int | None, context: Mapping[str, Any], where: str) -> int:
    if repeat is None:
        return 1
    text = render(str(repeat), context, where=f"{where}, key 'repeat'")
    # More than 4300 digits are a ValueError of int().
    if not text.isdecimal() or len(text) > MOST_DIGITS or int(text) > MOST_REPEATS:
        raise UsageError(f"repeat={text[:40]} is not a number from 0 to {MOST_REPEATS}", where=where)
    return int(text)


def _words(keys: Mapping[str, Raw | list[Raw]], context: Mapping[str, Any], where: str) -> list[tuple[str, str]]:
    """Render a step's keys.

    A list item whose template renders to nothing is left out, so that a parameter can switch an argument off.
    """
    words: list[tuple[str, str]] = []
    for key, value in keys.items():
        for each in value if isinstance(value, list) else [value]:
            text = render(_plain(each), context, where=f"{where}, key '{key}'")
            if text or not (isinstance(value, list) and each):
                words.append((key, text))
    return words


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _command(words: list[tuple[str, str]], programs: dict[str, ProgramFile], where: str) -> list[tuple[str, str]]:
    """Put the program's path, and its interpreter if it has one, before the arguments of a spawn step.

    The key `run` names the program to start if it differs from the role, `program`.
    """
    keys = dict(words)
    run = keys.get("run", keys["program"])
    if run not in programs:
        raise UsageError(
            f"'spawn' of the program '{run}', which [[programs]] does not define",
            where=where,
            remedy=did_you_mean(run, programs, kind="program"),
        )
    first = [("program", keys["program"]), *(("arg", word) for word in programs[run].arguments)]
    if programs[run].layers:
        first.append(("root", run))
    return first + [word for word in words if word[0] not in ("program", "run")]


def _bounded(words: list[tuple[str, str]], where: str) -> list[tuple[str, str]]:
    for key, value in words:
        if key == "timeout":
            try:
                bounded = 0 < float(value) < float("inf")
            except ValueError:
                bounded = False
            if not bounded:
                raise UsageError(
                    f"timeout={value} is not a number of seconds above zero",
                    where=where,
                    remedy="give every wait a time limit",
                )
    return words
