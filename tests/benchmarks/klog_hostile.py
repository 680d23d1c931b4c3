# SPDX-License-Identifier: MIT
"""Whether hostile logs cost more than their size: double each shape of log and print the ratio of CPU time.

    python -m tests.benchmarks.klog_hostile [--kilobytes 128] [--only EXPRESSION] [--slowest N]

A ratio near 2 is linear, and 4 is quadratic. A shape is a beginning of a report (its context), and lines of one repeated
unit after each of FIRST. The lines are doubled in length, since a pattern that is not linear is so within a line.
LINES are single lines of megabytes, in four sizes each.
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

LINES = (("0x", 2), ("A", 50))
"""What one line repeats, and its length in MB."""
HALVINGS = 3
PIECE = 1 << 16
"""Bytes that the reader is handed at once, as from a file."""


def attack(context: list[str], unit: str, size: int) -> bytes:
    """Return a log of about size bytes: the context, then a line of the repeated unit after each of FIRST."""
    length = size // len(FIRST)
    lines = [(first + unit * (length // len(unit) + 1))[:length] for first in FIRST]
    return ("\n".join([*context, *lines]) + "\n").encode()


def long_lines(only: str | None) -> None:
    """Print the CPU time of single long lines, each half as long as the next, and its ratio to the shorter one's."""
    for unit, megabytes in LINES:
        name, before = f"a line of {unit!r}", 0.0
        if only and not re.search(only, name):
            continue
        for size in (megabytes / 2**halvings for halvings in range(HALVINGS, -1, -1)):
            seconds = cost(unit.encode() * int(size * 1e6 / len(unit)) + b"\n")
            ratio = f"  ratio {seconds / before:5.2f}" if before else ""
            print(f"{name}, {size:5.2f} MB: {seconds:6.3f} s, {seconds / size:.3f} s/MB{ratio}", flush=True)
            before = seconds


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
    pieces = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
    start = time.process_time()
    for event in read_events(pieces):
        explain(event)
    return time.process_time() - start


def kinds() -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield every kind of input: its name and what makes one of a size."""
    for made_by in (many_reports, many_kills, one_report, many_zones):
        yield made_by.__name__, made_by
    for name, context in CONTEXTS.items():
        for unit in UNITS:

            def make(size: int, c: list[str] = context, u: str = unit) -> bytes:
                return attack(c, u, size)

            yield f"{name} | {unit!r}", make


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kilobytes", type=int, default=128, help="the smaller of the two sizes")
    parser.add_argument("--only", help="the shapes whose name matches this expression")
    parser.add_argument("--slowest", type=int, metavar="N", help="print only the N slowest, and what is not linear")
    options = parser.parse_args(arguments)
    size = options.kilobytes * 1000
    cost(many_reports(1))  # what is imported and compiled on the first use is not counted below
    long_lines(options.only)
    measured = []
    for name, make in kinds():
        if options.only and not re.search(options.only, name):
            continue
        once, twice = cost(make(size)), cost(make(2 * size))
        measured.append((twice / (2 * size / 1e6), twice / max(once, 1e-6), name, twice))
    measured.sort(reverse=True)
    for place, (rate, ratio, name, seconds) in enumerate(measured):
        # Below 20 ms the ratio is that of the clock.
        if options.slowest is None or place < options.slowest or (ratio > 3 and seconds > 0.02):
            print(f"{rate:8.3f} s/MB  ratio {ratio:5.2f}  {name}")
    if not measured:
        return 0
    worst = max((ratio for _, ratio, _, seconds in measured if seconds > 0.02), default=0)
    print(f"{len(measured)} shapes; slowest {measured[0][0]:.3f} s/MB; largest ratio above 20 ms {worst:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
