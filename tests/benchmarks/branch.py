# SPDX-License-Identifier: MIT
"""What a branch point saves: futures of the main job beside whole runs, a sweep that shares its past beside one that
does not, and the memory of eight futures beside one, each with its reference in the same run.

    python -m tests.benchmarks.branch [--only futures|controls|sweep|memory]

1. Ten futures from `writing-starts`, decided, beside ten whole runs: at most half of their time, and at most 1.0 s each.
   Saving the point at most 1.0 s (beside the run up to it), restoring it, with 430 MB in use, at most 0.25 s.
   Twenty futures without a change are the same to the byte.
2. A sweep of 24 points over `every` and two sysctls that only the OOM killer reads: at least three times the points a
   minute of one whose points are whole runs, with the same verdicts. The numbers that differ are counted beside those
   of whole runs that pause at the point for as long as a future takes to continue there.
3. Eight futures at once: the sum of their PSS, at most three times that of one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from rig.branch.changes import Changes, plan_future
from rig.branch.controls import same_futures
from rig.branch.futures import Saved, open_origin, run_futures, saved_point
from rig.branch.point import named_points
from rig.branch.source import locate, read_past
from rig.experiment.request import Job, Request
from rig.experiment.run import run_job, run_scenario
from rig.image.continuation import write_continuation
from rig.image.store import Store
from rig.machine.restoring import restored
from rig.machine.session import Listeners, Session, runtime_directory
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario
from rig.scenario.plan import RenderedStep, render_plan
from rig.scenario.settings import parse_settings
from rig.sweep.axes import SweepPlan, parse_axes
from rig.sweep.execute import tasks_of
from rig.sweep.local import LocalExecutor
from rig.sweep.row import Row, row_of_run
from rig.sweep.task import PointTask
from tests.benchmarks.guest_memory import pss

SCENARIO, POINT = "overcommit-oops", "writing-starts"
CONTINUES = 0.0023
"""Guest seconds that the agent takes to go on at a branch point: it opens the device and reads the steps to come."""
AXES = ("every=1ms,2ms,5ms,10ms,20ms,50ms", "vm.panic_on_oom=0,1", "vm.oom_kill_allocating_task=0,1")


async def saved(store: Store) -> tuple[Saved, float, float]:
    """Run the main job, and save its point; return it, the host seconds that it took, and those of the run."""
    began = time.perf_counter()
    _, directory = await run_scenario(Request(SCENARIO), NullProgress(), store)
    whole = time.perf_counter() - began
    source, point = locate(read_past(directory, store), POINT)
    origin = await open_origin(source, store)
    began = time.perf_counter()
    found = await saved_point(origin, point)
    return found, time.perf_counter() - began, whole


async def futures(count: int = 10) -> None:
    store = Store()
    point, save, _ = await saved(store)
    began = time.perf_counter()
    for _ in range(count):
        await run_scenario(Request(SCENARIO), NullProgress(), store)
    whole = time.perf_counter() - began
    began = time.perf_counter()
    found = await run_futures(point, [Changes()] * count, jobs=1)
    took = time.perf_counter() - began
    restores = [phase.host_seconds for each in found for phase in each.run.phases if phase.name == "restore"]
    print(f"{count} whole runs {whole:.1f} s; {count} futures {took:.1f} s, {took / whole:.2f} of it (at most 0.5),")
    print(f"{took / count:.2f} s each (at most 1.0); load {os.getloadavg()[0]:.1f}")
    print(f"the point, with the run up to it: {save:.2f} s{' (it was in the cache)' if not point.fresh else ''}")
    print(f"restore: median {statistics.median(restores):.2f} s, most {max(restores):.2f} s (at most 0.25)")


async def controls(count: int = 20) -> None:
    point, _, _ = await saved(Store())
    found = await run_futures(point, [Changes()] * count)
    print(f"{count} futures without a change: {same_futures(found) or 'the same to the byte, console and records'}")


class LateExecutor(LocalExecutor):
    """Runs each task as a whole, in which the plan pauses at the point for as long as a future takes to continue."""

    async def run(self, tasks: Sequence[PointTask], began: Callable[[PointTask], None]) -> AsyncIterator[Row]:
        scenario, store = load_scenario(SCENARIO), Store()

        async def one(task: PointTask) -> Row:
            settings = parse_settings(scenario, task.sets)
            plan = render_plan(scenario, settings)
            at = named_points(plan)[POINT] + 1
            pause = RenderedStep("sleep", (("seconds", f"{CONTINUES:.6f}"),))
            plan = replace(plan, steps=(*plan.steps[:at], pause, *plan.steps[at:]))
            request = Request(SCENARIO, task.sets, record=False, dump_panics=False)
            async with self.capacity.room_for(task.memory):
                run, _ = await run_job(Job(scenario, settings, plan), request, NullProgress(), store)
            return row_of_run(run, *task.key, dict(task.settings))

        for row in asyncio.as_completed([one(task) for task in tasks]):
            yield await row


async def sweep() -> None:
    scenario = load_scenario(SCENARIO)
    tasks = tasks_of(SweepPlan(SCENARIO, parse_axes(AXES)), scenario)
    executors = {
        "whole runs": LocalExecutor(share=False),
        "from the common past": LocalExecutor(),
        "whole runs with a pause": LateExecutor(),
    }
    rows: dict[str, list[Row]] = {}
    minutes = {}
    for name, executor in executors.items():
        began = time.perf_counter()
        found = [row async for row in executor.run(tasks, lambda task: None)]
        minutes[name] = 60 * len(tasks) / (time.perf_counter() - began)
        rows[name] = sorted(found, key=lambda row: row.point)
        print(f"{name}: {minutes[name]:.0f} points a minute")
    whole, shared, late = rows.values()
    verdicts = [row.verdict for row in whole] == [row.verdict for row in shared]
    ratio = minutes["from the common past"] / minutes["whole runs"]
    print(f"{ratio:.2f} times as many (at least 3); same verdicts: {verdicts}")
    print(f"numbers of the common past beside whole runs: {off_by(whole, shared)}")
    print(f"the same for whole runs with a pause of {1000 * CONTINUES:.1f} ms at the point: {off_by(whole, late)}")


def off_by(one: list[Row], other: list[Row]) -> str:
    """Return how many numbers of two sweeps differ, and by how much at most: sizes as pages, others as a share."""
    pairs = [
        (name, value, row.values().get(name, 0.0))
        for first, row in zip(one, other, strict=True)
        for name, value in first.values().items()
    ]
    differ = [(name, abs(a - b), abs(a - b) / (abs(a) or 1)) for name, a, b in pairs if a != b]
    pages = max((size / 4096 for _, size, _ in differ), default=0)
    names = ", ".join(sorted({name for name, _, _ in differ})) or "none"
    return f"{len(differ)} of {len(pairs)} differ, by {pages:.0f} pages at most: {names}"


async def memory(count: int = 8) -> None:
    store = Store()
    point, _, _ = await saved(store)
    one, of_one = await used(point, 1)
    many, of_many = await used(point, count)
    print(
        f"1 future, decided: {one / 1024:.0f} MB (PSS); {count} at once: {many / 1024:.0f} MB, {many / one:.2f} times"
    )
    print(f"(at most 3); load {os.getloadavg()[0]:.1f}")
    for kind in sorted(of_many, key=lambda kind: -of_many[kind]):
        print(f"  {kind}: {of_one.get(kind, 0) / 1024:.1f} MB in one, {of_many[kind] / 1024:.1f} MB in {count}")


def profile(pid: int) -> Counter[str]:
    """Return kind of mapping -> kB of PSS, of a QEMU."""
    found: Counter[str] = Counter()
    kind = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if match := re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+\s*(.*)", line):
            permissions, name = match.groups()
            if name.endswith("ram.pages") or name.startswith("/memfd:rig"):
                kind = "guest memory"
            elif "x" in permissions and not name.startswith("/"):
                kind = "translated code"
            elif name.startswith("/"):
                kind = "programs, libraries and images"
            else:
                kind = "QEMU's own data"
        elif match := re.match(r"(Pss|Private_Dirty): +(\d+) kB", line):
            key = kind if match[1] == "Pss" else f"{kind}, of it dirty and its own"
            found[key] += int(match[2])
    return found


async def used(point: Saved, count: int) -> tuple[int, Counter[str]]:
    """Run so many futures until each has had its OOM, and return the sum of their PSS in kB, whole and by kind."""
    guest, plan = point.origin.guest, plan_future(point.origin.source, point.point, Changes())
    sessions: list[Session] = []
    async with AsyncExitStack() as stack:
        for number in range(count):
            directory = stack.enter_context(runtime_directory(f"future-{number}"))
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rig-bench-")))
            write_continuation(directory / "continuation", plan.continuation)
            wiring = replace(
                guest.wiring(f"future-{number}", directory, out),
                payload=point.branch_point.payload, recorder=None, prealloc=False,
            )  # fmt: skip
            session = await stack.enter_async_context(
                restored(guest.spec, wiring, guest.qemu, out, Listeners(), point.branch_point)
            )
            sessions.append(session)
            oom = asyncio.ensure_future(session.record("oom", 120))
            await session.monitor.execute("cont")
            await oom
            await session.monitor.execute("stop")
        kinds = sum((profile(session.process.pid) for session in sessions), Counter())
        return sum(pss(session.process.pid)["Pss"] for session in sessions), kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("futures", "controls", "sweep", "memory"))
    chosen = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as runs:
        os.environ["RIG_RUNS"] = runs
        for name, part in (("futures", futures), ("controls", controls), ("sweep", sweep), ("memory", memory)):
            if chosen in (None, name):
                asyncio.run(part())


if __name__ == "__main__":
    main()
