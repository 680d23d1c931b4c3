# SPDX-License-Identifier: MIT
"""A sweep on Dask over three network namespaces beside the same sweep of this machine, in one run.

    sudo .venv/bin/python -m tests.benchmarks.dask_hosts [--rounds N]

One namespace has the scheduler and `rig sweep`, two have workers; a bridge joins them, and nothing else is reached from
there. Each namespace stands for a host: it has a cache of its own, with the kernels, images and programs that it would
have built, and makes its snapshots and saved pasts itself, before the measurement. There are two workers a host, and as
many guests at once as this machine runs of its own sweep, or one more where all of them work.

Three ways: all workers; one is killed in the middle; one host is slow, with half a CPU for all of it and a link of
5 Mbit/s. Each is run between two sweeps of this machine alone and compared with the mean of both, because a machine's
speed may move within minutes. Wanted: all points there, none twice, the same verdicts, and at most 1.1 times the local
time. (Numbers differ a little: each host has booted a guest of its own.)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rig.image.store import Store
from tests.benchmarks.main_job import environment, machine

SWEEP = (
    "overcommit-oops", "--over", "every=1ms,2ms,5ms,10ms,20ms,50ms", "--over", "vm.panic_on_oom=0,1",
    "--over", "vm.oom_kill_allocating_task=0,1",
)  # fmt: skip
POINTS = 24
HOSTS = {"rigs": "10.77.0.1", "riga": "10.77.0.2", "rigb": "10.77.0.3"}
PORT = 8786
SCHEDULER = f"tcp://{HOSTS['rigs']}:{PORT}"
MADE_THERE = frozenset({"snapshot", "branch"})
"""Kinds of the cache that each host makes itself."""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


@contextmanager
def namespaces() -> Iterator[None]:
    """Three namespaces on one bridge, which is in the first."""
    made: list[str] = []
    try:
        for name in HOSTS:
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", "rigs", "link", "add", "br0", "type", "bridge")
        ip("-n", "rigs", "addr", "add", f"{HOSTS['rigs']}/24", "dev", "br0")
        ip("-n", "rigs", "link", "set", "br0", "up")
        for name in ("riga", "rigb"):
            ip("-n", "rigs", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("-n", "rigs", "link", "set", f"to-{name}", "master", "br0", "up")
            ip("-n", name, "addr", "add", f"{HOSTS[name]}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield
    finally:
        for name in made:
            ip("netns", "del", name)


@contextmanager
def slow(host: Host) -> Iterator[None]:
    """Give a host half a CPU, and bound the rate of what it sends."""
    root = Path("/sys/fs/cgroup")
    first = not (root / "cgroup.controllers").exists()  # cgroup version 1, with a directory for each controller
    group = (root / "cpu" if first else root) / f"rig-bench-{os.getpid()}"
    group.mkdir()
    tc = ("tc", "-n", host.name, "qdisc")
    try:
        quota, value = ("cpu.cfs_quota_us", "50000") if first else ("cpu.max", "50000 100000")
        (group / quota).write_text(value)
        for process in host.running():
            (group / "cgroup.procs").write_text(str(process.pid))
        rule = ("dev", "eth0", "root", "tbf", "rate", "5mbit", "burst", "32kbit", "latency", "400ms")
        subprocess.run([*tc, "add", *rule], check=True)
        yield
        subprocess.run([*tc, "del", "dev", "eth0", "root"], check=True)
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (group.parent / "cgroup.procs").write_text(pid)
        group.rmdir()


class Host:
    """A namespace with a cache and a directory of runs of its own."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root / name
        cache = self.root / "cache"
        for kind in Store().root.iterdir():
            if kind.is_dir() and kind.name not in MADE_THERE:
                shutil.copytree(kind, cache / kind.name, copy_function=os.link, symlinks=True)
        self.environment = environment() | {
            "RIG_CACHE": str(cache), "RIG_RUNS": str(self.root / "runs"), "DASK_LOGGING__DISTRIBUTED": "error",
        }  # fmt: skip
        self.started: list[subprocess.Popen[bytes]] = []

    def words(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, sys.executable, "-m", *words]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        log = (self.root / f"{len(self.started)}.log").open("wb")
        process = subprocess.Popen(
            self.words("dask", *words), env=self.environment, stdout=log, stderr=log, cwd=self.root,
            start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def running(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in self.started if process.poll() is None]

    def worker(self) -> subprocess.Popen[bytes]:
        return self.start(
            "worker", SCHEDULER, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", HOSTS[self.name]
        )

    def sweep(self, *words: str, meanwhile: Callable[[], None] = lambda: None) -> tuple[float, list[dict[str, Any]]]:
        began = time.perf_counter()
        process = subprocess.Popen(
            self.words("rig", "sweep", *SWEEP, *words, "--json"),
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        meanwhile()
        out, _ = process.communicate(timeout=600)
        return time.perf_counter() - began, json.loads(out)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median with the least and the most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def verdicts(rows: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
    """Return the verdict of each point. Raises ValueError for a point that is missing or there twice."""
    found = {(row["point"], row["repeat"]): row["verdict"] for row in rows}
    if len(rows) != POINTS or len(found) != POINTS:
        raise ValueError(f"{len(rows)} rows of {len(found)} points")
    return found


def measured(root: Path, rounds: int) -> None:
    first, a, b = (Host(name, root) for name in HOSTS)
    hosts = (first, a, b)
    try:
        first.start("scheduler", "--host", HOSTS["rigs"], "--port", str(PORT), "--no-dashboard")
        cpus = str(len(os.sched_getaffinity(0)))
        _, rows = first.sweep("--jobs", cpus)  # makes the snapshot and saves the past
        alike = verdicts(rows)
        workers = [(each, each.worker()) for _ in range(2) for each in (a, b)]
        words = ("--executor", "dask", "--scheduler", SCHEDULER)
        while len({row["worker"].split(":")[1] for row in first.sweep(*words)[1]}) < 2:
            time.sleep(1)  # until each host has had its share, and made what it needs
        local: list[float] = []
        times: dict[str, list[tuple[float, float]]] = {"dask": [], "one slow": [], "one killed": []}
        """Way -> host seconds of each sweep, and how many times as long as the local ones beside it."""

        def here() -> None:
            local.append(first.sweep("--jobs", cpus)[0])

        def dask(way: str, meanwhile: Callable[[], None] = lambda: None) -> None:
            took, rows = first.sweep(*words, meanwhile=meanwhile)
            here()
            times[way].append((took, took / statistics.mean(local[-2:])))
            beside = " and ".join(f"{each:.1f}" for each in local[-2:])
            same = "the same verdicts" if verdicts(rows) == alike else "other verdicts than here"
            hosts_of = Counter(row["worker"].split(":")[1] for row in rows)
            print(
                f"{way}: {took:.1f} s beside {beside} s; {POINTS} points, each once, {same};"
                f" by host {sorted(hosts_of.values())}"
            )

        def lose_one() -> None:
            time.sleep(local[-1] / 2)
            kill(workers[0][1])

        here()
        for _ in range(rounds):
            dask("dask")
            with slow(b):
                dask("one slow")
            dask("one killed", lose_one)
            host = workers.pop(0)[0]
            workers.append((host, host.worker()))
            time.sleep(5)  # its start is not part of the next sweep
        print(f"local: {spread(local, 1)} s, n={len(local)}")
        for way, took in times.items():
            seconds, ratios = zip(*took, strict=True)
            print(f"{way}: {spread(seconds, 1)} s; {spread(ratios, 2)} of local, n={len(took)}")
    finally:
        for host in hosts:
            for process in host.running():
                kill(process)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    # Namespaces and workers are ended when this is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(machine())
    # Beside the cache: its files are linked, not copied.
    with tempfile.TemporaryDirectory(prefix="rig-hosts-", dir=Store().root.parent) as root, namespaces():
        measured(Path(root), arguments.rounds)


if __name__ == "__main__":
    main()
