# SPDX-License-Identifier: MIT
"""What recording costs, how long replays take, and how far they are the same.

    python -m tests.benchmarks.replay [--runs N]

Recorded and unrecorded runs take turns, so that both see the same machine. The plan phase is QEMU's own time from the
guest's go to its exit. Every scenario of the catalogue is replayed against its own recording.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.main_job import machine, timed


def plan_seconds(run: dict[str, object]) -> float:
    """QEMU's own time of a run."""
    phases = run["phases"]
    assert isinstance(phases, list)
    return next(float(phase["host_seconds"]) for phase in phases if phase["name"] == "plan")


def cost(runs: Path, count: int) -> None:
    """Recording against not recording, in turns; the bound is a ratio of 1.15."""
    pairs = []
    for _ in range(count):
        recorded, bare = timed("--to-the-end", runs=runs), timed("--to-the-end", "--no-record", runs=runs)
        pairs.append((recorded, bare))
    for name, of in (("wall of the plan", lambda one: plan_seconds(one.run)), ("CPU time", lambda one: one.cpu)):
        first = [of(recorded) for recorded, _ in pairs]
        second = [of(bare) for _, bare in pairs]
        ratio = statistics.median(first) / statistics.median(second)
        print(
            f"recording, {name}: {statistics.median(first):.2f} s against {statistics.median(second):.2f} s,"
            f" {ratio:.2f} times (at most 1.15); fastest {min(first):.2f} and {min(second):.2f}; n={count}"
        )
    size = pairs[-1][0].run["recording"]["size"]
    print(f"    the recording of {pairs[-1][0].run['guest_seconds']:.0f} guest seconds: {size / 1e6:.2f} MB")


def replays(runs: Path, times: int) -> None:
    """Replay every scenario; the bound is three times the recording's own time."""
    environment = {**os.environ, "RIG_RUNS": str(runs), "RIG_PREFIX": "no"}
    identical = total = 0
    ratios = []
    for directory in sorted(Path("scenarios").iterdir()):
        if not (directory / "scenario.toml").is_file():
            continue
        for _ in range(times):
            done = subprocess.run(
                [sys.executable, "-m", "rig", "run", directory.name, "--json"],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            run = json.loads(done.stdout)
            if run["recording"]["path"] is None:
                print(f"    {directory.name}: not recorded: {run['recording']['reason']}")
                break
            again = subprocess.run(
                [sys.executable, "-m", "rig", "replay", run["id"], "-q"],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            total += 1
            identical += again.returncode == 0
            took = re.search(r"replayed in ([\d.]+) s", again.stdout)
            assert took is not None, again.stdout + again.stderr
            ratio = float(took[1]) / plan_seconds(run)
            ratios.append(ratio)
            verdict = again.stdout.splitlines()[0]
            print(
                f"    {directory.name}: {verdict}; {took[1]} s, {ratio:.1f} times the recording's {plan_seconds(run):.2f} s"
            )
    print(f"replays: {identical} of {total} identical; {statistics.median(ratios):.1f} times at the median (at most 3)")


def going_back(runs: Path) -> None:
    """From the kill to the fork in gdb; the bound is 60 s."""
    environment = {**os.environ, "RIG_RUNS": str(runs), "RIG_PREFIX": "no"}
    run = timed(runs=runs)
    child = run.run["roles"]["child"]
    script = (
        "python\nimport time\n"
        "def timed(c):\n t=time.time(); gdb.execute(c, to_string=True); print('TOOK', c, '%.1f' % (time.time()-t))\n"
        f"timed('reverse-stepi')\ngdb.execute('break wake_up_new_task if p->pid == {child}')\n"
        "timed('reverse-continue')\nend\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".gdb") as file:
        file.write(script)
        file.flush()
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "rig", "debug", run.directory.name, "--batch", "--ex", f"source {file.name}"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
    for line in done.stdout.splitlines():
        if line.startswith("TOOK"):
            print(f"    {line.removeprefix('TOOK ')} s")
    print(f"to the kill, a step back, and back to the fork (at most 60 s): {time.perf_counter() - began:.1f} s in all")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--times", type=int, default=2, help="replays of each scenario")
    chosen = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name:
        runs = Path(name) / "runs"
        runs.mkdir()
        timed(runs=runs)
        cost(runs, chosen.runs)
        replays(runs, chosen.times)
        going_back(runs)


if __name__ == "__main__":
    main()
