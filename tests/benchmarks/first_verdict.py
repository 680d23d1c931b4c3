# SPDX-License-Identifier: MIT
"""`make run` from nothing: in a fresh minimal root, with nothing cached, from `make` to the first verdict.

python -m tests.benchmarks.first_verdict [SUITE]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = {
    "installing:": "packages",
    "python3 -m venv": "Python",
    ".venv/bin/rig image build": "image",
    ".venv/bin/rig run": "main job",
    "reproduced ": "report",
}
"""How a line begins with which a part of `make run` begins."""


def main() -> None:
    """Measure and print."""
    suite = sys.argv[1] if len(sys.argv) > 1 else "bookworm"
    if os.geteuid() != 0:
        print("first verdict from nothing: not measured; making a root needs root")
        return
    marks: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as cache:
        process = subprocess.Popen(
            [ROOT / ".ci/run", suite, "run"],
            env={**os.environ, "XDG_CACHE_HOME": cache},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            marks += [(part, time.perf_counter()) for begins, part in PARTS.items() if line.startswith(begins)]
        if process.wait() != 0:
            sys.exit("".join(output[-30:]))
    names, times = zip(*marks, strict=True)
    if names != tuple(PARTS.values()):
        sys.exit(f"make run printed its parts in another order: {names}")
    parts = [f"{name} {end - began:.1f}" for name, began, end in zip(names, times, times[1:], strict=False)]
    print(f"first verdict on a fresh {suite}: {times[-1] - times[0]:.1f} s (at most 60 with a near mirror)")
    print(f"    {', '.join(parts)}; load before: {os.getloadavg()[1]:.1f}")


if __name__ == "__main__":
    main()
