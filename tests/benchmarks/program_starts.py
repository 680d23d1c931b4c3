# SPDX-License-Identifier: MIT
"""`rig exec` against its numbers: a warm start, a package's first and second use, and the import of a docker archive.

    python -m tests.benchmarks.program_starts [--only NAME…] [--directory DIR]

true: `rig exec -- true` warm from the shell, the median of five; at most 1.0 s.
virtme: the same in a guest of virtme-ng on the same kernel under TCG; rig at least 6 times faster. DIR is virtme-ng's
    directory, as in tests.benchmarks.virtme.
deb: `rig exec --deb redis-server` with its root not in the cache (at most 25 s beside a near mirror), then again (1.5 s).
import: `rig image import` of a docker archive of 200 MB in two layers; at least 100 MB/s of its uncompressed size.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from rig.experiment.prepare import find_parts
from rig.image.store import Store
from tests.benchmarks.virtme import guest_output, prepared

WARM, FIRST, SECOND, RATE, RATIO = 1.0, 25.0, 1.5, 100.0, 6.0
ARCHIVE, FILES = 200 << 20, 2000
NAMES = ("true", "virtme", "deb", "import")
RAN = "the program ran"


def rig(*words: str) -> float:
    """Run rig to its end and return the host seconds. Ends the benchmark where rig fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "rig", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"rig {' '.join(words)}: status {done.returncode}\n{done.stderr[-2000:]}")
    return took


def warm() -> float:
    rig("exec", "--", "true")
    times = [rig("exec", "--", "true") for _ in range(5)]
    print(f"rig exec -- true, warm: {statistics.median(times):.2f} s, {min(times):.2f} to {max(times):.2f} "
          f"(at most {WARM:g})", flush=True)  # fmt: skip
    return statistics.median(times)


def virtme(directory: Path, ours: float) -> None:
    kernel = prepared(directory, find_parts(Store(), None, None))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        output = guest_output(directory, kernel, f"echo {RAN}")
        times.append(time.perf_counter() - began)
        if RAN not in output:
            sys.exit(f"virtme-ng: the program did not run\n{output[-2000:]}")
    theirs = statistics.median(times)
    print(f"virtme-ng, the same: {theirs:.2f} s, {theirs / ours:.1f} times as long (at least {RATIO:g})", flush=True)


def package() -> None:
    store = Store()
    for entry in store.entries("layer"):
        if str(entry.about.get("source", "")).startswith("deb:redis-server "):
            store.remove_unused(entry)
    words = ("exec", "--deb", "redis-server", "--", "redis-server", "--version")
    first, second = rig(*words), rig(*words)
    print(f"rig exec --deb redis-server: first {first:.1f} s (at most {FIRST:g}), second {second:.2f} s "
          f"(at most {SECOND:g})", flush=True)  # fmt: skip


def docker_archive(path: Path) -> int:
    """Write a docker archive of two layers with ARCHIVE bytes in FILES files, and return its size."""
    noise = random.Random(1)
    layers = {}
    for number in range(2):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for each in range(FILES // 2):
                # Half noise, half text: an image compresses to about half of its size.
                content = noise.randbytes(ARCHIVE // FILES // 2) + b"text " * (ARCHIVE // FILES // 10)
                member = tarfile.TarInfo(f"srv/{number}/{each % 40}/{each}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        layers[f"{number:064x}/layer.tar"] = buffer.getvalue()
    config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["true"]}}
    manifest = [{"Config": "config.json", "RepoTags": [], "Layers": list(layers)}]
    files = layers | {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path.stat().st_size


def archive(directory: Path) -> None:
    size = docker_archive(directory / "image.tar")
    with tempfile.TemporaryDirectory(prefix="rig-bench-", dir=Store().root) as cache:
        before = os.environ.get("RIG_CACHE")
        os.environ["RIG_CACHE"] = cache
        began = _cpu()
        took = rig("image", "import", "bench", str(directory / "image.tar"))
        cpu = _cpu() - began
        os.environ.pop("RIG_CACHE") if before is None else os.environ.__setitem__("RIG_CACHE", before)
    rate = size / took / 1e6
    print(f"rig image import: {size / 1e6:.0f} MB in {took:.2f} s, {rate:.0f} MB/s (at least {RATE:g}); "
          f"{cpu:.2f} s of CPU time, with Python's start", flush=True)  # fmt: skip


def _cpu() -> float:
    """Return the CPU seconds of ended child processes and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--directory", type=Path, default=None)
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as temporary:
        os.environ["RIG_RUNS"] = str(Path(temporary) / "runs")
        if "import" in arguments.only:
            archive(Path(temporary))
        if "deb" in arguments.only:
            package()
        ours = warm() if {"true", "virtme"} & set(arguments.only) else 0.0
        if "virtme" in arguments.only:
            directory = (arguments.directory or Path(temporary) / "virtme").absolute()
            directory.mkdir(parents=True, exist_ok=True)
            virtme(directory, ours)


if __name__ == "__main__":
    main()
