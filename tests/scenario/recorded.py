# SPDX-License-Identifier: MIT
"""Runs of the catalogue as real guests gave them, to be judged again, whole or changed.

data/SCENARIO/VARIANT/ holds events.jsonl and console.log of a run of Debian's 6.1 kernel on the warp clock, and `sets`,
the settings it was made with. `python -m tests.scenario.recorded [SCENARIO…]` runs them again;
`python -m tests.scenario.recorded SCENARIO/VARIANT [NAME=VALUE…]` records a variant, new or with other settings.
With `--done FILE`, runs that FILE lists are not run again, and each run is added to it when it is recorded.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rig.klog import read
from rig.run.document import Claimed
from rig.scenario.after_end import find_last_time
from rig.scenario.evidence import Evidence
from rig.scenario.judge import Judgement, judge_scenario
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from rig.telemetry.records import read_records

DATA = Path(__file__).resolve().parent / "data"
Change = Callable[[dict[str, Any]], None]


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
        return Evidence(
            settings,
            render_plan(self.scenario, settings),
            read_records(lines),
            read([self.console]),
            console_ends_at=find_last_time(io.BytesIO(self.console)),
        )

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

    def with_records(self, records: Iterable[dict[str, Any]]) -> Recorded:
        """Return the run with these records, numbered anew: none of them is missing."""
        return replace(self, records=tuple({**record, "n": n} for n, record in enumerate(records)))

    def said(self, old: str, new: str) -> Recorded:
        """Return the run with every line of a program that is `old` made `new`."""
        records = [{**record, "text": new} if record.get("text") == old else record for record in self.records]
        assert records != list(self.records), f"nobody said '{old}'"
        return replace(self, records=tuple(records))

    def printed(self, old: str, new: str) -> Recorded:
        """Return the run with the kernel's words replaced everywhere on the console."""
        assert old.encode() in self.console, f"the kernel did not print '{old}'"
        return replace(self, console=self.console.replace(old.encode(), new.encode()))

    def printed_too(self, text: bytes) -> Recorded:
        """Return the run with more lines on the console, before the kernel switches the machine off or at the end."""
        off = re.search(rb"^\[ *[\d.]+\] ACPI: PM: Preparing to enter system sleep", self.console, re.MULTILINE)
        at = off.start() if off else len(self.console)
        lines = re.sub(rb"\r?\n", b"\r\n", text)
        return replace(self, console=self.console[:at] + lines + self.console[at:])


def recorded(name: str, variant: str = "default") -> Recorded:
    directory = DATA / name / variant
    lines = (directory / "events.jsonl").read_text().splitlines()
    return Recorded(
        scenario=load_scenario(name),
        sets=tuple((directory / "sets").read_text().split()),
        records=tuple(json.loads(line) for line in lines),
        console=(directory / "console.log").read_bytes(),
    )


def every_run() -> list[tuple[str, str]]:
    return sorted((sets.parent.parent.name, sets.parent.name) for sets in DATA.glob("*/*/sets"))


async def record(name: str, variant: str, sets: tuple[str, ...]) -> None:
    """Run a variant of a scenario in a guest and keep its records and its console."""
    from rig.experiment.request import Request
    from rig.experiment.run import run_scenario
    from rig.run.progress import NullProgress

    run, kept = await run_scenario(Request(name, sets, record=False), NullProgress())
    directory = DATA / name / variant
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sets").write_text(f"{' '.join(sets)}\n")
    for file in ("events.jsonl", "console.log"):
        shutil.copyfile(kept / file, directory / file)
    print(f"{name} {variant}: {run.verdict}", flush=True)


def still_to_run(names: list[str], done: Path | None) -> list[tuple[str, str]]:
    """Return the runs of these scenarios, or of all scenarios where `names` is empty, without those that `done` lists."""
    listed = set(done.read_text().splitlines()) if done is not None and done.exists() else set()
    runs = [run for run in every_run() if not names or run[0] in names]
    return [(name, variant) for name, variant in runs if f"{name}/{variant}" not in listed]


async def main(words: list[str]) -> None:
    if words and "/" in words[0]:
        name, _, variant = words[0].partition("/")
        await record(name, variant, tuple(words[1:]))
        return
    parser = argparse.ArgumentParser(prog="python -m tests.scenario.recorded")
    parser.add_argument("--done", type=Path, help="the file of the runs that were recorded: they are not run again")
    parser.add_argument("scenario", nargs="*", help="only these scenarios")
    options = parser.parse_args(words)
    for name, variant in still_to_run(options.scenario, options.done):
        await record(name, variant, recorded(name, variant).sets)
        if options.done is not None:
            options.done.parent.mkdir(parents=True, exist_ok=True)
            with options.done.open("a") as file:
                file.write(f"{name}/{variant}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
