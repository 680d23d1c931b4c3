# SPDX-License-Identifier: MIT
"""Whether hostile logs cost more than their size: doubles each kind of input and prints the ratio of CPU time.

    python -m tests.benchmarks.klog_hostile [--kilobytes 256] [--only EXPRESSION] [--all]

A ratio near 2 is linear. Prints the slowest kinds and every kind whose ratio is above 3.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator

from rig.klog import read_events
from rig.klog.explain import explain
from tests.klog import made

# Pieces that the reader's patterns repeat: what an attacker would write again and again in one line.
UNITS = (
    "A", "0", "9", " ", "0x", "0x0", "a.", "a/", "a:", "a=1,", "a:1 ", "1*4kB ", "(", "[", "[<", "> ", "<4>", "#0: ",
    "at: ", " in ", " from ", "fault ", "BUG: ", "WARNING: ", "INFO: ", "Oops", "panic:", "[ 1.0] ", "? ", "+0x0/0x0 ",
    "f+0x1/0x2 ", "00000000 ", "&lt;", "#012", "\t", "{", '"MESSAGE":[', "task-", "-", "Mem-Info", "kernel: ", ": ",
    "Jan 10 10:00:00 ", "aa bb ", "PID: 1 Comm: ", "Tainted: ", "[A]=B, ", "oom-kill", "killed process ", "0-1,", "a(b):",
)  # fmt: skip
CONTEXTS: dict[str, list[str]] = {
    "idle": [],
    "OOM": made.oom_report()[:1],
    "Mem-Info": made.oom_report()[:28],
    "tasks": made.oom_report()[:-3],
    "cgroup": made.oom_report(cgroup="/a")[:23],
    "oops": made.oops()[:5],
    "trace": made.oops()[:17],
    "KASAN": ["BUG: KASAN: use-after-free in f+0x1/0x2"],
    "lockdep": ["WARNING: possible circular locking dependency detected"],
}
FIRST = ("", "BUG: ", "[    1.000000] ", "invoked oom-killer: ", "Killed process ", "traps: ", " a+", "WARNING: at ")
LINE = 16 * 1024


def attack(context: list[str], unit: str, first: str, size: int) -> bytes:
    """Return a log of about size bytes: the context, then lines of one repeated unit."""
    line = (first + unit * (LINE // len(unit) + 1))[:LINE]
    return ("\n".join([*context, *[line] * max(1, size // LINE)]) + "\n").encode()


def many_reports(size: int) -> bytes:
    """Return a log of nothing but OOM reports."""
    report = made.serial(made.oom_report([made.MadeTask(100 + at, f"t{at}", 1000 + at) for at in range(200)]))
    return report * max(1, size // len(report))


def many_kills(size: int) -> bytes:
    """Return a log of kills whose reports are missing."""
    line = made.serial([made.oom_report()[-1]])
    return line * max(1, size // len(line))


def one_report(size: int) -> bytes:
    """Return one OOM report with as many tasks as fit."""
    return made.serial(made.oom_report([made.MadeTask(100 + at, f"t{at}", 1000 + at) for at in range(size // 110)]))


def many_zones(size: int) -> bytes:
    """Return one report with as many zones as fit."""
    lines = made.oom_report()
    zone = next(line for line in lines if line.startswith("Node 0 DMA32 free"))
    at = lines.index(zone)
    zones = [zone.replace("Node 0", f"Node {n}") for n in range(size // len(zone))]
    return made.serial([*lines[:at], *zones, *lines[at:]])


def cost(data: bytes) -> float:
    """Return the seconds of CPU time to read a log and explain every event."""
    start = time.process_time()
    for event in read_events([data]):
        explain(event)
    return time.process_time() - start


def kinds() -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield every kind of input: its name and what makes one of a size."""
    for made_by in (many_reports, many_kills, one_report, many_zones):
        yield made_by.__name__, made_by
    for name, context in CONTEXTS.items():
        for first in FIRST:
            for unit in UNITS:

                def make(size: int, c: list[str] = context, u: str = unit, f: str = first) -> bytes:
                    return attack(c, u, f, size)

                yield f"{name} | {first!r} {unit!r}", make


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kilobytes", type=int, default=256, help="the smaller of the two sizes")
    parser.add_argument("--only", help="the kinds whose name matches this expression")
    parser.add_argument("--all", action="store_true", help="print every kind")
    options = parser.parse_args(arguments)
    size = options.kilobytes * 1000
    measured = []
    for name, make in kinds():
        if options.only and not re.search(options.only, name):
            continue
        once, twice = cost(make(size)), cost(make(2 * size))
        measured.append((twice / (2 * size / 1e6), twice / max(once, 1e-6), name, twice))
    measured.sort(reverse=True)
    for rate, ratio, name, seconds in measured:
        if options.all or rate >= measured[min(11, len(measured) - 1)][0] or (ratio > 3 and seconds > 0.05):
            print(f"{rate:8.3f} s/MB  ratio {ratio:5.2f}  {name}")
    print(f"{len(measured)} kinds; slowest {measured[0][0]:.3f} s/MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
