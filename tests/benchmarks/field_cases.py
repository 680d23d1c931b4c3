# SPDX-License-Identifier: MIT
"""Failures that users reported in public, as a scenario shows them, and one proved cure of each.

    python -m tests.benchmarks.field_cases [--only WORD] [--budget 20s]

Prints a table in Markdown. Exit status 1 when a case does not fail, or its cure does not help at every timing.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass

from rig.cli.options import parse_budget
from rig.cure.cure import Cure, cure
from rig.cure.trial import Patient
from rig.errors import RigError
from rig.klog.explain.remedies import HELPS
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario


@dataclass(frozen=True)
class Case:
    """A report: where it is, what its users saw, the scenario with its settings, and the remedy that is tried."""

    where: str
    saw: str
    scenario: str
    sets: tuple[str, ...]
    remedy: str


SMALL = ("memory=128M", "parent=20M", "hog=20M", "every=1ms")
STRICT = ("vm.overcommit_memory=2", "vm.overcommit_ratio=30", "memory=128M", "parent=20M", "hog=0", "every=1s")
GROUP = ("parent=16M", "hog=8M", "limit=32M", "outsider=40M", "every=1ms")
CASES = (
    Case("libuv#2133", "spawn is ENOMEM", "fork-fails", ("by=never",), "spawn-without-fork"),
    Case(
        "node#25382", "spawn is ENOMEM above half of memory", "fork-remedies",
        ("advise=none", "vm.overcommit_memory=2", "memory=256M"), "dont-fork",
    ),
    Case("composer#945", "fork fails on a small server", "overcommit-oops", STRICT, "swap-for-commitments"),
    Case("supabase/postgres#58", "nothing starts in mode 2", "overcommit-oops", STRICT, "overcommit-ratio"),
    Case("redis#4523", "Can't save in background: fork", "overcommit-oops", STRICT, "overcommit-0"),
    Case("gunicorn#1377", "fork fails in a container", "fork-fails", ("by=shortage",), "memory.max"),
    Case("valkey#1754", "OOM while it saves", "overcommit-oops", SMALL, "more-memory"),
    Case(
        "kubernetes#117793", "one child's OOM ends the pod", "overcommit-in-cgroup", (*GROUP, "group=true"),
        "memory.swap.max",
    ),
    Case(
        "teleport#19383", "bystanders die beside a task of -1000", "oom-victim", ("memory=128M", "parent=15M", "hog=40M", "every=1ms", "hog_adj=-1000"),
        "smaller-processes",
    ),
    Case("earlyoom", "the kernel kills too late", "overcommit-oops", SMALL, "user-space-killer"),
)  # fmt: skip


def row(case: Case, found: Cure | None, why: str = "") -> tuple[str, bool]:
    """Return the line of a case, and whether its cure is proved."""
    how = " ".join((case.scenario, *(f"`{text}`" for text in case.sets)))
    if found is None or not found.results:
        return f"| {case.where} | {case.saw} | {how} | not cured: {why or 'no run'} | |", False
    best = found.results[0]
    good = best.outcome.kind in HELPS and best.agree == best.of
    detail = f": {best.outcome.detail}" if best.outcome.detail else ""
    text = f"`{best.works.dose.text}`: {best.outcome.kind}{detail}"
    return f"| {case.where} | {case.saw} | {how} | {text} | {best.agree} of {best.of} |", good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--budget", default="20s", metavar="TIME", help="for each case")
    options = parser.parse_args()
    print("| reported in | what was seen | scenario | proved cure | timings |\n|---|---|---|---|---|", flush=True)
    proved = []
    for case in CASES:
        if options.only not in case.where:
            continue
        patient = Patient(case.scenario, load_scenario(case.scenario), case.sets)
        try:
            found = asyncio.run(cure(patient, NullProgress(), only=(case.remedy,), budget=parse_budget(options.budget)))
            line, good = row(case, found)
        except RigError as error:
            line, good = row(case, None, error.what)
        print(line, flush=True)
        proved.append(good)
    return 0 if proved and all(proved) else 1


if __name__ == "__main__":
    sys.exit(main())
