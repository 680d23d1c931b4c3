# SPDX-License-Identifier: MIT
"""Mutants of the checks: each check measured with one of its conditions negated, which must not pass.

`python -m rig.verify.mutants [--kernel KERNEL]… [--kept FILE] [CHECK…]`. A check that passes without the condition that
its rule is about would pass on any kernel.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.experiment.prepare import find_parts
from rig.finishing import finish_in_thread
from rig.image.guestcode import build_guest_code
from rig.image.programs import run_program
from rig.image.store import Store
from rig.run.directory import new_run_id, runs_directory
from rig.verify.check import Check, Facts, judge_check, parse_release
from rig.verify.checks import catalogue
from rig.verify.measure import PROGRAM, Lab, Task, measure

__all__ = ["Kept", "Mutant", "find_untested", "judge_mutant", "list_conditions", "main", "run_mutants"]

MUTANTS_A_REPORT = 48
"""How many mutants are measured before they are reported and kept: what an interruption may cost."""

DEATHS = {
    # Without a pool of huge pages mmap(2) refuses MAP_HUGETLB, before the mapping's flags can be read.
    "hugetlb-free~pool": "mmap-ENOMEM",
    # What KSM has not merged exceeds memory.max, so the OOM killer may end each process of the cgroup (seen on 7.2).
    "ksm-origin~merged": "large-ended-before-it-held-its-memory",
}
"""Title of a mutant whose check cannot be measured without the condition -> what its program then reports as broken."""


@dataclass(frozen=True)
class Mutant:
    """The outcome of a mutant. caught: the check did not pass, for the reason `why`."""

    title: str
    caught: bool
    why: str


@dataclass
class Kept:
    """The mutants that were caught on one kernel, read from a file and added to it.

    path: the file, which later calls of this program read; None where nothing is kept. It has a line for each mutant,
        of all kernels: kernel and title. A last line that an interruption cut off does not count.
    titles: the mutants of this kernel that earlier calls caught.
    """

    path: Path | None
    kernel: str
    titles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.path is not None and self.path.exists():
            whole = (line for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n"))
            # A kernel may be a path with blanks; a title has none.
            entries = (line.rstrip("\n").rpartition(" ") for line in whole)
            self.titles = {title for kernel, _, title in entries if kernel == self.kernel}

    def add(self, mutants: Iterable[Mutant]) -> None:
        """Keep those that were caught; the others are run again."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.writelines(f"{self.kernel} {mutant.title}\n" for mutant in mutants if mutant.caught)


def list_conditions(program: Path) -> dict[str, list[str]]:
    """Return the conditions of each check, as the program lists them (it runs on the host)."""
    listed = run_program([program, "--list"])
    listed.check_returncode()
    lines = (line.split() for line in listed.stdout.decode().splitlines())
    return {name: conditions for name, _, *conditions in lines}


def judge_mutant(task: Task, facts: Facts) -> Mutant:
    """Judge a mutant by its facts.

    It is caught if the check failed, if a fact that the check requires was read back with another value, or if its
    program ended as DEATHS expects. It is not caught if it was not measured, or if the program never asked for its
    condition.
    """
    if "lost" in facts.values:
        return Mutant(task.title, caught=False, why=f"not measured: {facts.values['lost']}")
    if "not_negated" in facts.values:
        return Mutant(task.title, caught=False, why="the check never asked for this condition")
    result = judge_check(task.check, facts)
    if result.status in ("pass", "not-applicable"):
        return Mutant(task.title, caught=False, why=f"the check is {result.status}")
    # A check that is broken for another reason, such as a crash of its program, says nothing about its condition.
    expected_death = task.title in DEATHS and facts.values.get("broken") == DEATHS[task.title]
    caught = result.status == "fail" or expected_death or bool(_changed(task.check, facts))
    return Mutant(task.title, caught, f"{result.status}: {result.why}")


def _changed(check: Check, facts: Facts) -> set[str]:
    """Return which of the facts that the check requires were read back with another value."""
    return {name for name, required in check.given.items() if facts.values.get(name, str(required)) != str(required)}


def find_untested(check: Check, measured: Sequence[Facts]) -> list[Mutant]:
    """Return an entry, not caught, for each fact that a check requires (`given`) and that no mutant of it changed.

    Nothing shows that such a fact is read back from the kernel and that the check depends on it.
    measured: the facts of all mutants of the check.
    """
    changed = set().union(*(_changed(check, facts) for facts in measured))
    return [
        Mutant(check.name, caught=False, why=f"no mutant changes {name}") for name in check.given if name not in changed
    ]


async def run_mutants(kernel: str | None, names: Sequence[str], kept: Path | None = None) -> list[Mutant]:
    """Run the mutants of these checks on a kernel, and print the outcome of each.

    kept: a file of mutants that earlier calls caught; those of this kernel are not run. The mutants that are caught now
        are added.
    Return the mutants that were run, and those that are missing: see find_untested(), which is asked for each check
    whose mutants were all run now. Raises RigError for checks without conditions, which have no mutants.
    """
    store = Store()
    program = (await finish_in_thread(build_guest_code, store)).programs[PROGRAM]
    parts = await finish_in_thread(find_parts, store, kernel, None)
    release = parse_release(parts.kernel.release)
    caught = Kept(kept, parts.kernel.spec)
    tasks = [task for task in _tasks_of(program, names) if task.title not in caught.titles]
    mutants: list[Mutant] = []
    found: dict[str, list[Facts]] = {}
    for first in range(0, len(tasks), MUTANTS_A_REPORT):
        some = tasks[first : first + MUTANTS_A_REPORT]
        lab = Lab(store, parts, runs_directory() / "verify" / new_run_id(), Capacity(None))
        measured = await measure(lab, some)
        judged = [judge_mutant(task, Facts(measured[task.title], release)) for task in some]
        for task in some:
            found.setdefault(task.check.name, []).append(Facts(measured[task.title], release))
        for mutant in judged:
            print(f"{'caught  ' if mutant.caught else 'SURVIVED'} {mutant.title}: {mutant.why}", flush=True)
        caught.add(judged)
        mutants += judged
    known = catalogue()
    untested = [
        missing
        for name, facts in found.items()
        if not any(title.startswith(f"{name}~") for title in caught.titles)
        for missing in find_untested(known[name], facts)
    ]
    for missing in untested:
        print(f"UNTESTED {missing.title}: {missing.why}", flush=True)
    survived = sum(not mutant.caught for mutant in mutants)
    before = f", {len(caught.titles)} were caught before" if caught.titles else ""
    lacking = f", {len(untested)} are missing" if untested else ""
    print(f"{parts.kernel.spec}: {len(mutants)} mutants, {survived} survived{lacking}{before}", flush=True)
    return mutants + untested


def _tasks_of(program: Path, names: Sequence[str]) -> list[Task]:
    tasks = make_tasks(list_conditions(program), names)
    if not tasks:
        raise RigError(
            f"there is no mutant of {', '.join(names)}: a mutant negates a condition, and the checks have none",
            remedy="name a check that has conditions",
        )
    return tasks


def make_tasks(conditions: Mapping[str, Iterable[str]], names: Sequence[str]) -> list[Task]:
    """Return a task for each condition of each of these checks."""
    known = catalogue()
    return [Task(known[name], condition) for name in names for condition in conditions[name]]


def main(arguments: list[str]) -> int:
    """Negate each condition of the checks in turn. Exit status: 1 when a check passes in spite of it, 3 error."""
    parser = argparse.ArgumentParser(prog="python -m rig.verify.mutants", description=main.__doc__)
    parser.add_argument(
        "--kernel", action="append", help="debian:SUITE, source:SUITE, tree:DIR or a path; once for each"
    )
    parser.add_argument("--kept", type=Path, help="the file of the mutants that were caught: they are not run again")
    parser.add_argument("check", nargs="*", help="only these checks")
    options = parser.parse_args(arguments)
    for name in options.check:
        if name not in catalogue():
            parser.error(f"there is no check '{name}'")
    status = 0
    for kernel in options.kernel or [None]:
        try:
            mutants = asyncio.run(run_mutants(kernel, options.check or list(catalogue()), options.kept))
        except RigError as error:
            print(f"rig: {error}", file=sys.stderr)
            return error.status
        status |= any(not mutant.caught for mutant in mutants)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
