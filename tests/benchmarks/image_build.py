# SPDX-License-Identifier: MIT
"""The image from nothing, in an empty cache, beside the plain download of what it is made from.

python -m tests.benchmarks.image_build
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "rig", "image", "build"],
            env={**os.environ, "RIG_CACHE": name},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        took = time.perf_counter() - began
        size = sum(path.stat().st_blocks * 512 for path in Path(name).rglob("*") if path.is_file())
        began = time.perf_counter()
        subprocess.run(["apt-get", "download", "-qq", "busybox-static"], cwd=name, check=True, capture_output=True)
        reference = time.perf_counter() - began
    print(f"rig image build, empty cache: {took:.1f} s (at most 20 with a near mirror), {size >> 20} MB kept")
    print(f"    the mirror: one package of 1 MB by apt-get in {reference:.1f} s")


if __name__ == "__main__":
    main()
