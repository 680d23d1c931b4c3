# SPDX-License-Identifier: MIT
"""Runs of the catalogue as real guests gave them, to be judged again, whole or changed.

data/SCENARIO/VARIANT/ holds events.jsonl and console.log of a run of Debian's 6.1 kernel on the warp clock, and `sets`,
the settings it was made with. `python -m tests.scenario.recorded [SCENARIO…]` runs them again.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rig.klog import read
from rig.run.document import Claimed
from rig.scenario.evidence import Evidence
from rig.scenario.judge import Judgement, judge_scenario
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from rig.telemetry.records import read_records

DATA = Path(__file__).resolve().parent / "data"
Change = Callable[[dict[str, Any]], None]

VARIANTS: dict[str, dict[str, str]] = {
    "cow-cost": {"default": ""},
    "fd-passing": {"default": "", "number": "send=number"},
    "fd-shared-offset": {"default": "", "reopen": "reopen=yes", "python": "language=python"},
    "fork-fails": {
        "default": "", "pids": "by=pids", "pid-max": "by=pid_max", "threads-max": "by=threads_max", "never": "by=never",
        "vfork": "by=never method=vfork", "half": "by=half",
    },
    "fork-join": {"default": "", "kill": "jobs=3 kill=1", "private": "memory_is=private"},
    "fork-remedies": {"default": "", "none": "advise=none", "posix-spawn": "method=posix_spawn advise=none"},
    "fork-returns-twice": {"default": "", "buffered": "buffered=yes", "clone-vm": "method=clone-vm buffered=yes"},
    "memory-is-copied": {"default": "", "parent": "writer=parent", "shared": "memory_is=shared"},
    "oom-victim": {"default": "", "exempt": "hog_adj=-1000", "deadlock": "writer_adj=-1000 hog_adj=-1000"},
    "overcommit-in-cgroup": {"default": "every=1s", "group": "every=1s group=yes"},
    "overcommit-oops": {
        "default": "", "python": "language=python", "panic": "vm.panic_on_oom=1", "refused": "vm.overcommit_memory=2",
        "no-hog": "hog=0 every=1s step=20M",
    },
    "pipe-exec": {"default": "", "usr1": "notify=usr1 every=10ms"},
    "prefault": {
        "default": "every=1s step=20M", "read": "every=1s touch=read", "touching": "every=1s parent=240M hog=40M",
    },
    "respawn": {"default": "", "group": "group=yes", "python": "language=python"},
    "snapshot-by-fork": {
        "default": "", "collect": "child=collect", "frozen": "child=collect freeze=yes", "writes": "writes=100000",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Recorded:
    """A run that was recorded: its records one by one, and its console."""

    scenario: Scenario
    sets: tuple[str, ...]
    records: tuple[dict[str, Any], ...]
    console: bytes

    def evidence(self) -> Evidence:
        settings = parse_settings(self.scenario, self.sets)
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in self.records)
        return Evidence(settings, render_plan(self.scenario, settings), read_records(lines), read([self.console]))

    def judged(self) -> Judgement:
        return judge_scenario(self.scenario, self.evidence())

    def claim(self, name: str) -> Claimed:
        return next(claim for claim in self.judged().claims if claim.id == name)

    def changed(self, ev: str, change: Change, **where: Any) -> Recorded:
        """Return the run with the first record of that kind (and those fields) changed."""
        records = [json.loads(json.dumps(record)) for record in self.records]
        for record in records:
            if record["ev"] == ev and all(record.get(key) == value for key, value in where.items()):
                change(record)
                return replace(self, records=tuple(records))
        raise LookupError(f"no {ev} with {where}")

    def said(self, old: str, new: str) -> Recorded:
        """Return the run with every line of a program that is `old` made `new`."""
        records = [{**record, "text": new} if record.get("text") == old else record for record in self.records]
        assert records != list(self.records), f"nobody said '{old}'"
        return replace(self, records=tuple(records))

    def printed(self, old: str, new: str) -> Recorded:
        """Return the run with the kernel's words replaced everywhere on the console."""
        assert old.encode() in self.console, f"the kernel did not print '{old}'"
        return replace(self, console=self.console.replace(old.encode(), new.encode()))


def recorded(name: str, variant: str = "default") -> Recorded:
    folder = DATA / name / variant
    lines = (folder / "events.jsonl").read_text().splitlines()
    return Recorded(
        scenario=load_scenario(name),
        sets=tuple((folder / "sets").read_text().split()),
        records=tuple(json.loads(line) for line in lines),
        console=(folder / "console.log").read_bytes(),
    )


def every_run() -> list[tuple[str, str]]:
    return [(name, variant) for name, variants in VARIANTS.items() for variant in variants]


async def record_all(only: list[str]) -> None:
    """Run every variant of these scenarios (none named: of all) in a guest and keep what was heard."""
    from rig.experiment.run import Request, run_scenario
    from rig.run.progress import NullProgress

    for name, variant in every_run():
        if only and name not in only:
            continue
        sets = VARIANTS[name][variant]
        run, kept = await run_scenario(Request(name, tuple(sets.split()), record=False), NullProgress())
        folder = DATA / name / variant
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sets").write_text(f"{sets}\n")
        for file in ("events.jsonl", "console.log"):
            shutil.copyfile(kept / file, folder / file)
        print(f"{name} {variant}: {run.verdict}", flush=True)


if __name__ == "__main__":
    asyncio.run(record_all(sys.argv[1:]))
