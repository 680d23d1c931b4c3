# SPDX-License-Identifier: MIT
"""Make the reports anew: `python -m tests.klog.causes [--only NAME]… [--missing] [SUITE…]`.

Each cause is made in a guest of its own, with the kernel of a Debian suite. The report that the console printed is kept
in data/SUITE.tar.xz. The cause that the explanation names is printed beside the one that made it.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rig.klog import Event, read
from rig.klog.explain import explain
from tests.klog.causes import DATA, KERNELS, TABLE, Made, archived

MOST_EVENTS = 3  # of one log; a cgroup of many processes goes on to print a report for each of them
GUESTS = 4  # at a time
BEFORE = 2  # lines that are kept before the first event


def run_guest(made: Made, suite: str, program: Path, runs: Path) -> bytes:
    """Run a guest and return what its console printed; print why where rig, the guest or the program failed."""
    words = ["exec", "-q", "--no-record", "--kernel", f"debian:{suite}", "--timeout", "5m", *made.options]
    # A relative path: below /tmp of the guest there is a tmpfs.
    done = subprocess.run(
        [sys.executable, "-m", "rig", *words, "--", f"./{program.name}", made.way],
        cwd=program.parent, env=os.environ | {"RIG_RUNS": str(runs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = sorted(runs.glob("*/console.log"))
    # After a panic the status is 125 too, and the report is there.
    if not found or (done.returncode == 125 and b"Kernel panic" not in found[0].read_bytes()):
        print(f"{suite}: {' '.join(words)}: status {done.returncode}\n{done.stderr}", file=sys.stderr)
        return b""
    if done.returncode not in (0, 137):
        print(made.way, done.returncode, done.stderr, file=sys.stderr)
    return found[0].read_bytes()


def judge(made: Made, log: bytes) -> tuple[Event | None, str]:
    """Return the event that the log was made for, and the cause that its explanation names."""
    event = next((event for event in read([log]).events if event.kind == made.kind), None)
    return (None, "no such event") if event is None else (event, explain(event).cause)


def cut(log: bytes) -> bytes:
    """Return the lines of the first events of a log and little else."""
    events = read([log]).events[:MOST_EVENTS]
    if not events:
        return b""
    lines = log.splitlines(keepends=True)
    return b"".join(lines[max(events[0].line - 1 - BEFORE, 0) : max(event.last_line for event in events)])


def keep(suite: str, found: dict[str, bytes]) -> None:
    """Write the archive of a suite: the logs that it has, and the new ones. The same logs give the same bytes."""
    kept = {name: log for name, log in (dict(archived(suite)) | found).items() if name in TABLE}
    DATA.mkdir(exist_ok=True)
    with tarfile.open(DATA / f"{suite}.tar.xz", "w:xz") as archive:
        for name, log in sorted(kept.items()):
            member = tarfile.TarInfo(f"{name}.log")
            member.size = len(log)
            archive.addfile(member, io.BytesIO(log))


def make(asked: list[tuple[str, str]], program: Path, directory: Path, seconds: float) -> int:
    """Make reports and keep them. Return how many causes were named wrongly.

    asked: (name in TABLE, suite).
    seconds: no guest is started after this time.
    """
    end = time.monotonic() + seconds

    def printed(pair: tuple[str, str]) -> bytes | None:
        name, suite = pair
        if time.monotonic() > end:
            return None
        return run_guest(TABLE[name], suite, program, directory / f"{suite}-{name}")

    found: dict[str, dict[str, bytes]] = {}
    wrong = 0
    with ThreadPoolExecutor(GUESTS) as pool:
        for (name, suite), log in zip(asked, pool.map(printed, asked), strict=True):
            if log is None:
                continue
            event, cause = judge(TABLE[name], log)
            right = cause == TABLE[name].cause
            wrong += not right
            print(f"{suite:9} {name:20} {cause or '(none)':16} {'right' if right else 'WRONG'}", flush=True)
            if event is not None:
                found.setdefault(suite, {})[name] = cut(log)
    for suite, new in found.items():
        keep(suite, new)
    return wrong


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("suites", nargs="*", default=tuple(KERNELS))
    parser.add_argument("--only", action="append", choices=sorted(TABLE))
    parser.add_argument("--missing", action="store_true", help="make only those of which no log is kept")
    parser.add_argument("--seconds", type=float, default=1e9, help="start no guest after this time")
    options = parser.parse_args(arguments)
    asked = [
        (name, suite)
        for name in options.only or TABLE
        for suite in options.suites
        if suite not in TABLE[name].not_on and not (options.missing and name in archived(suite))
    ]
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory) / "cause"
        source = Path(__file__).with_name("cause.c")
        subprocess.run(["gcc", "-std=gnu11", "-static", "-O1", "-o", program, source], check=True)
        return 1 if make(asked, program, Path(directory), options.seconds) else 0


if __name__ == "__main__":
    sys.exit(main())
