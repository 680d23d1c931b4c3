# SPDX-License-Identifier: MIT
"""What a branch point saves: futures of the main job beside whole runs, a sweep that shares its past beside one that
does not, and the memory of eight futures beside one, each with its reference in the same run.

    python -m tests.benchmarks.branch [--only futures|controls|sweep|memory]

1. Ten futures from `writing-starts`, decided, beside ten whole runs: at most half of their time, and at most 1.0 s each.
   Saving the point at most 1.0 s (beside the run up to it), restoring it, with 430 MB in use, at most 0.25 s.
   Twenty futures without a change are the same to the byte.
2. A sweep of 24 points over `every` and two sysctls that only the OOM killer reads: at least three times the points a
   minute of one whose points are whole runs, with the same verdicts and the same numbers.
3. Eight futures at once: the sum of their PSS, at most three times that of one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rig.branch.changes import Changes, plan_future
from rig.branch.controls import same_futures
from rig.branch.futures import Saved, open_origin, run_futures, saved_point
from rig.branch.sharing import Pasts
from rig.branch.source import locate, read_past
from rig.experiment.run import Request, run_scenario
from rig.image.continuation import write_continuation
from rig.image.store import Store
from rig.machine.session import Listeners, Session, runtime_directory
from rig.machine.snapshot import restored
from rig.run.progress import NullProgress
from rig.scenario.load import load_scenario
from rig.sweep.axes import SweepPlan, parse_axes
from rig.sweep.execute import tasks_of
from rig.sweep.local import LocalExecutor
from tests.benchmarks.guest_memory import pss

SCENARIO, POINT = "overcommit-oops", "writing-starts"
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


async def sweep() -> None:
    scenario = load_scenario(SCENARIO)
    plan = SweepPlan(SCENARIO, parse_axes(AXES))
    tasks = tasks_of(plan, scenario)
    rows: dict[str, list[Any]] = {}
    minutes = {}
    for name in ("whole runs", "from the common past"):
        executor = LocalExecutor()
        if name == "whole runs":
            executor._pasts = lambda tasks: Pasts(Store(), {})  # type: ignore[method-assign]
        began = time.perf_counter()
        found = [row async for row in executor.run(tasks, lambda task: None)]
        minutes[name] = 60 * len(tasks) / (time.perf_counter() - began)
        rows[name] = sorted(found, key=lambda row: row.point)
        print(f"{name}: {minutes[name]:.0f} points a minute")
    whole, shared = rows.values()
    verdicts = [row.verdict for row in whole] == [row.verdict for row in shared]
    numbers = [row.values() for row in whole] == [row.values() for row in shared]
    ratio = minutes["from the common past"] / minutes["whole runs"]
    print(f"{ratio:.2f} times as many (at least 3); same verdicts: {verdicts}, same numbers: {numbers}")
    if not numbers:
        off = [
            abs(one.values()[name] - other.values().get(name, 0)) / (abs(one.values()[name]) or 1)
            for one, other in zip(whole, shared, strict=True)
            for name in one.values()
        ]
        print(f"numbers that differ: {sum(each > 0 for each in off)} of {len(off)}, by {max(off):.1%} at most")


async def memory(count: int = 8) -> None:
    store = Store()
    point, _, _ = await saved(store)
    one = await used(point, 1)
    many = await used(point, count)
    print(
        f"1 future, decided: {one / 1024:.0f} MB (PSS); {count} at once: {many / 1024:.0f} MB, {many / one:.2f} times"
    )
    print(f"(at most 3); load {os.getloadavg()[0]:.1f}")


async def used(point: Saved, count: int) -> int:
    """Run so many futures until each has had its OOM, and return the sum of their PSS in kB."""
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
        return sum(pss(session.process.pid)["Pss"] for session in sessions)


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
