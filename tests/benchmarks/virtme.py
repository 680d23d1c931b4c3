# SPDX-License-Identifier: MIT
"""Points a minute against virtme-ng: the same programs on the same kernel under TCG, one guest at a time on both sides.

    python -m tests.benchmarks.virtme [--points 2] [--directory DIR]

virtme-ng boots a guest a point; rig restores one. Neither side's child pauses between two steps (virtme: --every=0, rig:
1 ms of a clock that jumps). virtme-ng comes from PyPI into a virtual environment in DIR, the kernel's modules (they must
belong to the kernel that rig boots), busybox and virtiofsd from Debian's packages. DIR is kept when it is named.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rig.experiment.prepare import Parts, find_parts
from rig.image.digest import digest_file
from rig.image.store import Store

MEMORY, PARENT, STEP = "512M", "200M", "4M"
BOUND = 4.0
LONGEST = 170
WRAPPER = '#!/bin/sh\nexec {lib}/ld-linux-x86-64.so.2 --library-path {lib} {root}/usr/libexec/virtiofsd "$@"\n'


def prepared(directory: Path, parts: Parts) -> Path:
    """Put virtme-ng and what it needs into the directory, where it is not there; return the kernel's path."""
    package = str(parts.kernel.package).split()[0]
    venv, root, tools = directory / "venv", directory / "root", directory / "bin"
    if not (venv / "bin" / "virtme-run").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin" / "pip", "install", "--quiet", "virtme-ng"], check=True)
    kernel = root / "boot" / f"vmlinuz-{parts.kernel.release}"
    if not kernel.exists():
        packages = directory / "packages"
        packages.mkdir(exist_ok=True)
        words = ["apt-get", "download", "-qq", package, "busybox-static"]
        subprocess.run(words, cwd=packages, check=True, stderr=subprocess.DEVNULL)
        for each in packages.glob("*.deb"):
            subprocess.run(["dpkg", "-x", each, root], check=True)
    if digest_file(kernel) != parts.kernel.digest:
        raise SystemExit(f"{package} of the mirror is not the kernel that rig has: rig image rm and build it again")
    tools.mkdir(exist_ok=True)
    if shutil.which("virtiofsd") is None and not (tools / "virtiofsd").exists():
        # Debian 12 has it not; that of 13 runs here with the libraries of 13.
        newer = directory / "trixie"
        words = ["mmdebstrap", "--quiet", "--variant=extract", "--include=virtiofsd", "trixie", str(newer)]
        subprocess.run(words, check=True)
        lib = newer / "usr" / "lib" / "x86_64-linux-gnu"
        (tools / "virtiofsd").write_text(WRAPPER.format(lib=lib, root=newer))
        (tools / "virtiofsd").chmod(0o755)
    return kernel


def guest_output(directory: Path, kernel: Path, script: str) -> str:
    """Run a script in a guest of virtme-ng and return what it printed. No process of it is left, also after a time-out."""
    words = [
        str(directory / "venv" / "bin" / "virtme-run"), "--kimg", str(kernel), "--mods", "auto", "--memory", MEMORY,
        "--cpus", "1", "--disable-kvm", "--busybox", str(directory / "root" / "bin" / "busybox"),
        # Without udevd, which a small host has not, virtme-ng's init prints what the script does on the console.
        "--show-boot-console", "--kopt", "quiet", "--script-sh", script,
    ]  # fmt: skip
    path = f"{directory / 'bin'}:{os.environ['PATH']}"
    process = subprocess.Popen(
        words, env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=LONGEST)[0]
    except subprocess.TimeoutExpired:
        return f"nothing came of it within {LONGEST} s"
    finally:
        # Its QEMU and its virtiofsd are of its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def with_virtme(directory: Path, kernel: Path, programs: Path, hogs: list[str]) -> float:
    """Run each point in a guest of its own and return the host seconds of all. An OOM must have come in each."""
    script = shutil.copy(Path(__file__).with_name("virtme_point.sh"), directory / "point.sh")
    began = time.perf_counter()
    for hog in hogs:
        output = guest_output(directory, kernel, f"bash {script} {programs} {PARENT} {STEP} {hog}")
        if "Out of memory: Killed" not in output:
            raise SystemExit(f"virtme-ng, hog={hog}: no OOM\n{output[-2000:]}")
    return time.perf_counter() - began


def with_rig(hogs: list[str]) -> float:
    """Run the same points as a sweep, one guest at a time, and return the host seconds, Python's start included."""
    common = ["--set", f"memory={MEMORY}", "--set", f"parent={PARENT}", "--set", f"step={STEP}", "--set", "every=1ms"]
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as runs:
        environment = os.environ | {"RIG_RUNS": runs}

        def sweep(values: list[str]) -> float:
            words = ["sweep", "overcommit-oops", "--over", f"hog={','.join(values)}", *common, "--jobs", "1", "--json"]
            began = time.perf_counter()
            done = subprocess.run(
                [sys.executable, "-m", "rig", *words], env=environment, capture_output=True, text=True, check=False
            )
            took = time.perf_counter() - began
            rows = json.loads(done.stdout) if done.stdout.startswith("[") else []
            if len(rows) != len(values) or not all(row["oom_count"] for row in rows):
                raise SystemExit(f"rig: no OOM in each point\n{done.stderr}")
            return took

        sweep(hogs[:1])  # makes the snapshot
        return sweep(hogs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=2)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--only-prepare", action="store_true")
    arguments = parser.parse_args()
    # A kill from outside must not leave a guest of virtme-ng behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    store = Store()
    parts = asyncio.run(asyncio.to_thread(find_parts, store, None, None))
    with tempfile.TemporaryDirectory(prefix="rig-virtme-") as temporary:
        directory = (arguments.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        kernel = prepared(directory, parts)
        if arguments.only_prepare:
            return
        programs = parts.code.programs["hog"].parent
        hogs = [f"{180 + 4 * number}M" for number in range(arguments.points)]
        load = os.getloadavg()[0]
        ours = with_rig(hogs)
        print(f"rig: {ours:.1f} s for {len(hogs)} points", file=sys.stderr, flush=True)
        theirs = with_virtme(directory, kernel, programs, hogs)
        version = subprocess.run(
            [directory / "venv" / "bin" / "vng", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    count = len(hogs)
    print(f"{count} points of overcommit-oops, {MEMORY}, TCG, {parts.kernel.release}, one at a time; load {load:.1f}")
    print(f"{version}: {theirs:.1f} s, {60 * count / theirs:.1f} points a minute")
    print(f"rig: {ours:.1f} s, {60 * count / ours:.1f} points a minute: {theirs / ours:.1f} times (at least {BOUND:g})")


if __name__ == "__main__":
    main()
