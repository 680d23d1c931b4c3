# SPDX-License-Identifier: MIT
"""A sweep of 24 points with one guest at once and with as many as there are cpus, in the same run.

    python -m tests.benchmarks.sweep_jobs

Each way runs the same points after one run that makes the snapshot. Printed: points a minute, their ratio, and the rig's
own share of a point (its run without boot, restore and plan), with the host's load beside them.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

POINTS = 24
SWEEP = ("overcommit-oops", "--set", "parent=40M", "--set", "every=1ms", "--set", "memory=192M")


def swept(jobs: int, runs: str, *over: str) -> tuple[float, list[dict[str, Any]]]:
    """Run a sweep; return its host seconds, Python's start included, and its rows."""
    words = [sys.executable, "-m", "rig", "sweep", *SWEEP, *over, "--jobs", str(jobs), "--json"]
    began = time.perf_counter()
    done = subprocess.run(words, env=os.environ | {"RIG_RUNS": runs}, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if not done.stdout.startswith("["):
        raise SystemExit(done.stderr)
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return took, rows


def main() -> None:
    cpus = len(os.sched_getaffinity(0))
    over = ("--over", "hog=" + ",".join(f"{20 + 2 * number}M" for number in range(POINTS)))
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as runs:
        swept(1, runs, "--over", "hog=20M")
        load = os.getloadavg()[0]
        took = {}
        for jobs in (1, cpus):
            took[jobs], rows = swept(jobs, runs, *over)
            own = [row["overhead_seconds"] for row in rows if row["overhead_seconds"] is not None]
            print(
                f"{jobs} at once: {POINTS} points in {took[jobs]:.1f} s, {60 * POINTS / took[jobs]:.0f} a minute;"
                f" the rig's own part of a point: median {statistics.median(own):.2f} s, most {max(own):.2f} s"
            )
    print(f"{cpus} at once against 1: {took[1] / took[cpus]:.2f} times as fast; load before: {load:.1f}")


if __name__ == "__main__":
    main()
