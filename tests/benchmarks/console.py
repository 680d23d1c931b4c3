# SPDX-License-Identifier: MIT
"""How fast a noisy guest prints: kernel messages on ttyS0, and on hvc0 (--virtio-console), turn by turn.

    python -m tests.benchmarks.console [--runs N]

A program writes 3,000 records of 900 bytes to /dev/kmsg. Printed is the time of the whole command less that of one whose
program writes a single record; and whether the log has every record, in order.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.main_job import machine

RECORDS, BYTES = 3000, 900
PROGRAM = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **words)
{
	int to = open("/dev/kmsg", O_WRONLY), length;
	char text[1024];

	for (int i = 0; i < atoi(words[count - 1]); i++) {
		length = snprintf(text, sizeof(text), "record %d %0870d\\n", i, 0);
		if (write(to, text, (size_t)length) != length)
			return 1;
	}
	return 0;
}
"""


def took(program: Path, runs: Path, records: int, *words: str) -> float:
    """Run the program in a guest; return the host seconds. Raises SystemExit where the log is not complete."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "rig", "exec", "-q", "--no-record", *words, "--", str(program), str(records)],
        env=os.environ | {"RIG_RUNS": str(runs)}, check=True,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    log = (max(runs.glob("2*"), key=lambda path: path.stat().st_mtime_ns) / "console.log").read_text(errors="replace")
    if re.findall(r"record (\d+) 0{870}", log) != [str(number) for number in range(records)]:
        raise SystemExit(f"{words}: the log has not every record, in order")
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    count = parser.parse_args().runs
    print(machine())
    ways = {"ttyS0": (), "hvc0": ("--virtio-console",)}
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name:
        root = Path(name)
        (root / "noise.c").write_text(PROGRAM)
        subprocess.run(["gcc", "-O2", "-static", "-o", root / "noise", root / "noise.c"], check=True)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for words in ways.values():
            took(root / "noise", root / "runs", 1, *words)  # makes the snapshot
        for _ in range(count):
            for way, words in ways.items():
                least = took(root / "noise", root / "runs", 1, *words)
                times[way].append(took(root / "noise", root / "runs", RECORDS, *words) - least)
    for way, each in times.items():
        median = statistics.median(each)
        print(
            f"{way}: {RECORDS * BYTES / median / 1e6:.2f} MB/s: {median:.2f} s, {min(each):.2f} to {max(each):.2f},"
            f" n={count}; every record, in order"
        )
    print(
        f"hvc0 against ttyS0: {statistics.median(times['ttyS0']) / statistics.median(times['hvc0']):.2f} times as fast"
    )


if __name__ == "__main__":
    main()
