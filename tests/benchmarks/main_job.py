# SPDX-License-Identifier: MIT
"""The main job's numbers: whole commands, timed from outside, with QEMU's own part of the same run beside them.

    python -m tests.benchmarks.main_job [--runs N]

QEMU alone is the time from its start to its exit in the same run (phases restore and plan of run.json): the rest is
the rig's own share, Python's start included. Steps and pages show that the guest did the work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.image.apt import host_suite
from rig.image.defaults import default_kernel

PAGE = 4096


@dataclass(frozen=True)
class Timed:
    """One whole command. wall, qemu: host seconds; cpu: seconds of all its processes."""

    wall: float
    qemu: float
    cpu: float
    run: dict[str, Any]
    directory: Path


def timed(*words: str, runs: Path, **variables: str) -> Timed:
    """Run a command of rig and time it from outside."""
    before = os.times()
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "rig", "run", "overcommit-oops", "-q", *words],
        env=environment() | {"RIG_RUNS": str(runs), "RIG_PREFIX": "no", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - began
    after = os.times()
    if done.returncode != 0:
        raise SystemExit(f"rig run {' '.join(words)}: status {done.returncode}\n{done.stderr}")
    directory = max(runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    run = json.loads((directory / "run.json").read_text())
    phases = {phase["name"]: phase["host_seconds"] for phase in run["phases"]}
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Timed(wall, phases["restore"] + phases["plan"], cpu, run, directory)


def environment() -> dict[str, str]:
    """Return this process's environment, in which Python keeps its bytecode, as it does for a user."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def machine() -> str:
    """Name the machine in a line."""
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=True).stdout
    version = qemu.splitlines()[0].removeprefix("QEMU emulator version ")
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {model[1] if model else platform.machine()}, Linux {platform.release()},"
        f" QEMU {version}, Python {platform.python_version()}, load {load:.1f} at the start"
    )


def work_done(one: Timed) -> str:
    """Say what the guest did: the child's steps, and its minor faults by the kernel's count."""
    records = [json.loads(line) for line in (one.directory / "events.jsonl").read_text().splitlines()]
    steps = sum(record["ev"] == "line" and str(record.get("text", "")).startswith("step ") for record in records)
    exits = [record for record in records if record["ev"] == "exit" and record.get("comm") == "child"]
    samples = [proc for record in records if record["ev"] == "sample" for proc in record["procs"]]
    last = [proc["minflt"] for proc in samples if proc["comm"] == "child"]
    pages = exits[-1]["minflt"] if exits else (last[-1] if last else 0)
    return f"{steps} steps, {pages} pages copied ({pages * PAGE >> 20} MB)"


def report(name: str, results: list[Timed], bound: float | None) -> None:
    """Print one line of figures: medians, and the spread of the whole."""
    wall = [one.wall for one in results]
    median = statistics.median(wall)
    qemu = statistics.median(one.qemu for one in results)
    share = statistics.median(one.wall - one.qemu for one in results)
    cpu = statistics.median(one.cpu for one in results)
    guest = results[-1].run["guest_seconds"] - _go(results[-1])
    promised = "" if bound is None else f" (at most {bound:g} s)"
    print(f"{name}: {median:.2f} s{promised}, {min(wall):.2f} to {max(wall):.2f}, n={len(wall)}")
    print(f"    QEMU alone {qemu:.2f} s, the rig's share {share:.2f} s, CPU time {cpu:.2f} s")
    print(f"    {guest:.0f} guest seconds, {guest / median:.0f} a second; {work_done(results[-1])}")


def _go(one: Timed) -> float:
    with (one.directory / "events.jsonl").open() as records:
        return next(float(json.loads(line)["t"]) for line in records if '"ev":"go"' in line)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    count = parser.parse_args().runs
    print(machine())
    # The distribution's too, which is what a machine has on its first day.
    for kernel in dict.fromkeys((default_kernel().spec, f"debian:{host_suite()}")):
        os.environ["RIG_KERNEL"] = kernel
        print(f"{kernel}:")
        main_job(count)


def main_job(count: int) -> None:
    """Measure with the kernel that RIG_KERNEL names."""
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name:
        runs = Path(name) / "runs"
        runs.mkdir()
        timed(runs=runs)  # makes the snapshot and warms the page cache
        for _ in range(2):
            timed(runs=runs, RIG_PREFIX="yes")  # the second run of the same steps keeps its past
        repeated = [timed(runs=runs, RIG_PREFIX="yes") for _ in range(count)]
        assert all(one.run["prefix"] and not one.run["prefix"]["made"] for one in repeated)
        report("rig run overcommit-oops, from a kept past", repeated, 1.8)
        for words, bound, title in (
            (("--to-the-end",), 4.0, "rig run overcommit-oops --to-the-end"),
            ((), 3.0, "rig run overcommit-oops"),
            (("--no-record",), None, "rig run overcommit-oops --no-record"),
        ):
            report(title, [timed(*words, runs=runs) for _ in range(count)], bound)
        cold(runs, count)


def cold(runs: Path, count: int) -> None:
    """Image cached, no snapshot: a kernel command line that differs each time makes a new one."""
    results = [timed("--append", f"rig.bench={os.getpid()}.{number}", runs=runs) for number in range(min(count, 3))]
    wall = [one.wall for one in results]
    print(f"cold (no snapshot): {statistics.median(wall):.2f} s (at most 7 s), {min(wall):.2f} to {max(wall):.2f}")
    footprint = results[-1].run["footprint"]
    used = footprint["mem_total_kb"] - footprint["mem_available_kb"]
    print(f"guest before the scenario: {used / 1024:.1f} MB (at most 40), the agent {footprint['agent_rss_kb']} kB")


if __name__ == "__main__":
    main()
