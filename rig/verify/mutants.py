# SPDX-License-Identifier: MIT
"""Mutants of the checks: each check measured with one of its conditions negated, which must not pass.

`python -m rig.verify.mutants [--kernel KERNEL]… [CHECK…]`. A check that passes without the condition that its rule is
about would pass on any kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rig.experiment.capacity import Capacity
from rig.experiment.prepare import find_parts
from rig.image.guestcode import build_guest_code
from rig.image.programs import run_program
from rig.image.store import Store
from rig.run.directory import new_run_id, runs_directory
from rig.verify.check import Facts, judge_check, parse_release
from rig.verify.checks import catalogue
from rig.verify.measure import PROGRAM, Lab, Task, measure

__all__ = ["Mutant", "judge_mutant", "list_conditions", "main", "run_mutants"]


@dataclass(frozen=True)
class Mutant:
    """The outcome of a mutant. caught: the check did not pass, for the reason `why`."""

    title: str
    caught: bool
    why: str


def list_conditions(program: Path) -> dict[str, list[str]]:
    """Return the conditions of each check, as the program lists them (it runs on the host)."""
    listed = run_program([program, "--list"])
    listed.check_returncode()
    lines = (line.split() for line in listed.stdout.decode().splitlines())
    return {name: conditions for name, _, *conditions in lines}


def judge_mutant(task: Task, facts: Facts) -> Mutant:
    """Judge a mutant. It is not caught if it was not measured or the program never asked for its condition."""
    if "lost" in facts.values:
        return Mutant(task.title, caught=False, why=f"not measured: {facts.values['lost']}")
    if "not_negated" in facts.values:
        return Mutant(task.title, caught=False, why="the check never asked for this condition")
    result = judge_check(task.check, facts)
    caught = result.status in ("fail", "broken")
    return Mutant(task.title, caught, f"{result.status}: {result.why}" if caught else f"the check is {result.status}")


async def run_mutants(kernel: str | None, names: Sequence[str]) -> list[Mutant]:
    """Run every mutant of these checks on a kernel."""
    store = Store()
    program = (await asyncio.to_thread(build_guest_code, store)).programs[PROGRAM]
    parts = await asyncio.to_thread(find_parts, store, kernel, None)
    lab = Lab(store, parts, runs_directory() / "verify" / new_run_id(), Capacity(None))
    tasks = make_tasks(list_conditions(program), names)
    measured = await measure(lab, tasks)
    release = parse_release(parts.kernel.release)
    return [judge_mutant(task, Facts(measured[task.title], release)) for task in tasks]


def make_tasks(conditions: Mapping[str, Iterable[str]], names: Sequence[str]) -> list[Task]:
    """Return a task for each condition of each of these checks."""
    known = catalogue()
    return [Task(known[name], condition) for name in names for condition in conditions[name]]


def main(arguments: list[str]) -> int:
    """Negate each condition of the checks in turn. Exit status 1 when a check passes in spite of it."""
    parser = argparse.ArgumentParser(prog="python -m rig.verify.mutants", description=main.__doc__)
    parser.add_argument(
        "--kernel", action="append", help="debian:SUITE, source:SUITE, tree:DIR or a path; once for each"
    )
    parser.add_argument("check", nargs="*", help="only these checks")
    options = parser.parse_args(arguments)
    for name in options.check:
        if name not in catalogue():
            parser.error(f"there is no check '{name}'")
    status = 0
    for kernel in options.kernel or [None]:
        mutants = asyncio.run(run_mutants(kernel, options.check or list(catalogue())))
        for mutant in mutants:
            print(f"{'caught  ' if mutant.caught else 'SURVIVED'} {mutant.title}: {mutant.why}")
        survived = sum(not mutant.caught for mutant in mutants)
        print(f"{kernel or 'the default kernel'}: {len(mutants)} mutants, {survived} survived", flush=True)
        status |= bool(survived) or not mutants
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
