# SPDX-License-Identifier: MIT
"""Reproduce every OOM report of a directory of logs, and print how often each field of the fingerprint agrees.

    python -m tests.benchmarks.reproduce_reports DIR… [--kernel KERNEL]… [--scale SIZE]

Logs below DIR, or runs' consoles. One guest at a time. Exit status 1 when fewer than WANTED of the reports have every
field right that can be played.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rig.klog import OomEvent, read
from rig.klog.kinds import Kind

WANTED = 0.60
DEADLINE = 600


def reports(directories: list[Path]) -> list[tuple[Path, int]]:
    """Return (log, number of the event) of each OOM report."""
    found = []
    for directory in directories:
        for path in sorted(each for each in directory.rglob("*") if each.is_file()):
            with path.open("rb") as file:
                events = read(file).events
            found += [(path, e.number) for e in events if isinstance(e, OomEvent) and e.kind is Kind.OOM]
    return found


def reproduced(log: Path, event: int, kernel: str | None, scale: str) -> dict[str, Any] | None:
    """Return what `rig reproduce --json` prints; None where the report cannot be played at all."""
    words = [sys.executable, "-m", "rig", "reproduce", str(log), "--event", str(event), "--json", "--scale", scale]
    done = subprocess.run(
        [*words, *(["--kernel", kernel] if kernel else [])],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        print(f"  {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def field_of(name: str) -> str:
    """Return the field that a row counts for: the holders are one."""
    return "holders" if name[:1].isdigit() and "adj" not in name else "oom_score_adj" if "adj" in name else name


def main() -> int:
    """Print a line for each report and a table of the fields."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--kernel", action="append")
    parser.add_argument("--scale", default="512M")
    options = parser.parse_args()
    agrees: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    right = total = 0
    for kernel in options.kernel or [None]:
        for log, event in reports(options.directories):
            found = reproduced(log, event, kernel, options.scale)
            total += 1
            rows = found["fields"] if found is not None else []
            wrong = [row["field"] for row in rows if row["outcome"] == "differs"]
            for row in rows:
                if row["outcome"] != "left out":
                    judged[field_of(row["field"])] += 1
                    agrees[field_of(row["field"])] += row["outcome"] == "agrees"
            right += found is not None and not wrong
            print(
                f"{log.name:<40} {kernel or '':<16} {', '.join(wrong) or ('all' if found else 'not played')}",
                flush=True,
            )
    print()
    for field, count in sorted(judged.items(), key=lambda item: agrees[item[0]] / item[1]):
        print(f"{field:<28} {agrees[field]:>4} of {count:<4} {agrees[field] / count:.0%}")
    print(f"\nevery field that can be played: {right} of {total} reports")
    return 0 if total and right / total >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
