# SPDX-License-Identifier: MIT
"""How long `rig report` takes on the main job, and how large the page is.

    python -m tests.benchmarks.report [--runs N]

Whole commands timed from outside, on a run that ends when its claims are decided and on one of all fifty steps; the
reference is Python's own start with nothing to do, in the same minute. Bounds: 1.5 s, 1.5 MB.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.main_job import machine, timed

MOST_SECONDS = 1.5
MOST_BYTES = 1_500_000


def seconds_of(command: list[str], environment: dict[str, str]) -> float:
    """Run a command and return how long it took. Raises CalledProcessError."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    count: int = parser.parse_args().runs
    print(machine())
    with tempfile.TemporaryDirectory() as directory:
        runs = Path(directory)
        environment = {**os.environ, "RIG_RUNS": str(runs)}
        start = [seconds_of([sys.executable, "-c", "pass"], environment) for _ in range(count)]
        for words in ((), ("--to-the-end",)):
            run = timed(*words, runs=runs)
            page = run.directory / "report.html"
            took = []
            for _ in range(count):
                page.unlink(missing_ok=True)
                took.append(seconds_of([sys.executable, "-m", "rig", "report", str(run.directory)], environment))
            maps = (run.directory / "events.jsonl").read_bytes().count(b'"pagemap"')
            print(
                f"rig report on {' '.join(['overcommit-oops', *words])}: {statistics.median(took):.2f} s"
                f" (at most {MOST_SECONDS}), {min(took):.2f} to {max(took):.2f}, n={count};"
                f" Python's start {statistics.median(start):.2f} s"
            )
            print(f"    the page: {page.stat().st_size / 1e6:.3f} MB (below {MOST_BYTES / 1e6}), {maps} page maps read")


if __name__ == "__main__":
    main()
