# SPDX-License-Identifier: MIT
"""How fast the log reader is, beside `grep -c` on the same file, and whether its memory stays flat.

    python -m tests.benchmarks.klog_speed [--megabytes 200] [--peer OOMAnalyser.py]

Prints MB/s on a log with few events, on nothing but OOM reports, and the time of `rig explain` from the shell.
"""

from __future__ import annotations

import argparse
import importlib.util
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rig.klog import read_events
from rig.klog.follow import Follower
from tests.klog import made

_QUIET = (
    "usb 1-1: new high-speed USB device number {n} using xhci_hcd",
    'audit: type=1400 audit(1750305980.{n}:67): avc:  denied  {{ read }} for  pid={n} comm="sshd"',
    "EXT4-fs (sda{n}): mounted filesystem with ordered data mode. Quota mode: none.",
    "systemd[1]: Started Session {n} of user root.",
    "IPv6: ADDRCONF(NETDEV_CHANGE): eth{n}: link becomes ready",
    "TCP: request_sock_TCP: Possible SYN flooding on port {n}. Sending cookies.",
)
_PIECE = 1 << 18


def quiet_log(path: Path, size: int) -> None:
    """Write a log of which one line in some ten thousand belongs to an event."""
    lines = [f"[{at / 100:12.6f}] {_QUIET[at % len(_QUIET)].format(n=at % 997)}\n".encode() for at in range(30_000)]
    block = b"".join(lines) + made.serial(made.oom_report())
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)


def oom_log(path: Path, size: int) -> None:
    """Write a log of nothing but OOM reports, each with two hundred tasks."""
    tasks = [made.MadeTask(100 + at, f"task-{at}", 1000 + at) for at in range(200)]
    block = made.serial(made.oom_report(tasks))
    with path.open("wb") as file:
        while file.tell() < size:
            file.write(block)


def pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def rate(path: Path, *, rounds: int = 3) -> tuple[float, int]:
    """Return the best MB per second of CPU time of some rounds, and the number of events.

    Processor time: the machine may be shared, and the reader waits for nothing.
    """
    best, events = 0.0, 0
    for _ in range(rounds):
        start = time.process_time()
        events = sum(1 for _ in read_events(pieces(path)))
        best = max(best, path.stat().st_size / (time.process_time() - start) / 1e6)
    return best, events


def shell(command: list[str], *, rounds: int = 5) -> float:
    """Return the shortest time of a command, in seconds."""
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        # Into a pipe: grep stops at its first match when it sees /dev/null.
        subprocess.run(command, check=False, capture_output=True)
        best = min(best, time.perf_counter() - start)
    return best


def peer_rate(source: Path, log: Path) -> float:
    """Return the MB/s of OOMAnalyser (its OOMAnalyser.py, run as the Python that it also is) on one report."""
    spec = importlib.util.spec_from_file_location("peer", source)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{source} cannot be imported")
    peer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(peer)
    text = log.read_text()
    start = time.perf_counter()
    peer.OOMAnalyser(peer.OOMEntity(text)).analyse()
    return len(text) / (time.perf_counter() - start) / 1e6


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=200, help="size of the log with few events")
    parser.add_argument("--peer", type=Path, help="OOMAnalyser.py, to time on one report")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as directory:
        quiet, ooms, one = (Path(directory) / name for name in ("quiet.log", "ooms.log", "one.log"))
        quiet_log(quiet, options.megabytes * 1_000_000)
        oom_log(ooms, 20_000_000)
        one.write_bytes(made.serial(made.oom_report()))
        for name, path in (("few events", quiet), ("OOM reports only", ooms)):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            found, events = rate(path, rounds=1 if path.stat().st_size > 500_000_000 else 3)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            grep = path.stat().st_size / shell(["grep", "-c", "oom-killer", str(path)]) / 1e6
            size = path.stat().st_size / 1e6
            print(
                f"{name:18} {size:7.0f} MB  {events:6d} events  {found:7.1f} MB/s  grep -c {grep:8.1f} MB/s  peak "
                f"memory +{grown} kB"
            )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        follower = Follower()
        events = sum(1 for piece in pieces(quiet) for _ in follower.feed(piece))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        print(f"{'followed':18} {quiet.stat().st_size / 1e6:7.0f} MB  {events:6d} events  peak memory +{grown} kB")
        explain = [sys.executable, "-c", "from rig.cli import main; main()", "explain", str(one)]
        print(
            f"rig explain, one report: {shell(explain):.2f} s  (python -c pass: "
            f"{shell([sys.executable, '-c', 'pass']):.2f} s)"
        )
        if options.peer is not None:
            print(f"peer, one report: {peer_rate(options.peer, one):.1f} MB/s; this reader {rate(one)[0]:.1f} MB/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
