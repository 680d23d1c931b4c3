# SPDX-License-Identifier: MIT
"""The main job beside its peers, in one run: wall and CPU time of rig, of a hand-written script, and of virtme-ng.

    python -m tests.benchmarks.peers [--runs N] [--directory DIR] [--pauses]

Every peer boots: it has no snapshot and no past. rig's rows are therefore apart: from a kept past, from the snapshot
(warm), and with a boot (cold). QEMU alone is the time from QEMU's start to its exit in rig's warm runs. The script is what
one writes by hand: plain QEMU, an initramfs with busybox and the same programs, no wait between two steps; --pauses adds
one run of it with the job's 30 s. It is run before and after each of the others, which is compared with the mean of both:
a machine whose speed moves may move within one round. All of them run under TCG, with one CPU and 512 MB, on the same kernel.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rig.experiment.prepare import Parts, find_parts
from rig.image.store import Store
from tests.benchmarks.main_job import machine, timed
from tests.benchmarks.virtme import MEMORY, PARENT, STEP, prepared, with_virtme

HOG = "200M"
LONGEST = 600
INIT = """#!/bin/busybox sh
# The plan of overcommit-oops, as a shell carries it out. A poll sleeps, so that it leaves the CPU to the programs.
/bin/busybox mkdir -p /proc /dev
/bin/busybox mount -t proc proc /proc
# What runs in the background reads /dev/null.
/bin/busybox mount -t devtmpfs dev /dev
state() {{ /bin/busybox sed -n 's/^State:[[:space:]]*\\(.\\).*/\\1/p' "/proc/$1/status"; }}
stopped() {{ until [ "$(state "$1")" = T ]; do /bin/busybox usleep 50000; done; }}
/bin/cow-writer --size={parent} --step={step} --every={every} &
parent=$!
stopped $parent
kill -CONT $parent
child=
until [ -n "$child" ]; do child=$(/bin/busybox cat "/proc/$parent/task/$parent/children"); done
child=${{child%% *}}
stopped "$child"
/bin/hog --blocks=256K {hog} &
hog=$!
stopped $hog
kill -CONT "$child"
until /bin/busybox dmesg | /bin/busybox grep -q 'Out of memory: Killed'; do /bin/busybox usleep 50000; done
/bin/busybox poweroff -f
"""


@dataclass(frozen=True)
class Took:
    """One run of one peer. wall, cpu: host seconds; cpu is that of all its processes."""

    wall: float
    cpu: float


def measured(run: Callable[[], object]) -> Took:
    """Call a function that waits for its processes, and return what it took."""
    before, began = os.times(), time.perf_counter()
    run()
    wall, after = time.perf_counter() - began, os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return Took(wall, used)


def initramfs(directory: Path, busybox: Path, programs: Path, *, every: str) -> Path:
    """Pack busybox, the programs and the script, and return the archive's path."""
    tree = directory / f"tree-{every}"
    (tree / "bin").mkdir(parents=True)
    shutil.copy(busybox, tree / "bin" / "busybox")
    for name in ("cow-writer", "hog"):
        shutil.copy(programs / name, tree / "bin" / name)
    (tree / "init").write_text(INIT.format(parent=PARENT, step=STEP, hog=HOG, every=every))
    (tree / "init").chmod(0o755)
    archive = directory / f"initramfs-{every}"
    names = "\n".join(str(path.relative_to(tree)) for path in (tree, *sorted(tree.rglob("*"))))
    with archive.open("wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=tree, input=names.encode(), stdout=file, check=True)
    return archive


def by_hand(kernel: Path, archive: Path) -> None:
    """Boot the script in a plain QEMU. Raises SystemExit when no OOM came."""
    done = subprocess.run(
        [
            "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-smp", "1", "-nodefaults",
            "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel), "-initrd", str(archive),
            "-append", "console=ttyS0 panic=-1",
        ],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False,
    )  # fmt: skip
    if "Out of memory: Killed" not in done.stdout:
        raise SystemExit(f"the script: no OOM\n{done.stdout[-2000:]}{done.stderr[-500:]}")


Way = Callable[[int], tuple[Took, ...]]
"""Measures one round, whose number it gets, and returns what it took; of rig's warm run QEMU's part, too."""
SCRIPT = "a script, no pauses"
FEWER = 3
"""Rounds of virtme-ng, which takes long."""


def row(name: str, took: list[Took], script: list[float]) -> None:
    """Print a line of the table: medians with their spread, and of the ratios to the script's seconds beside each."""
    wall = [one.wall for one in took]
    ratios = [one.wall / beside for one, beside in zip(took, script, strict=True)]
    print(
        f"{name:44} {statistics.median(wall):7.2f} s  {min(wall):.2f} to {max(wall):.2f}"
        f"  CPU {statistics.median(one.cpu for one in took):6.2f} s"
        f"  {statistics.median(ratios):5.2f} of the script  {min(ratios):.2f} to {max(ratios):.2f}  n={len(wall)}"
    )


def of_rig(runs: Path, prefix: str, *words: str) -> Way:
    def way(number: int) -> tuple[Took, ...]:
        one = timed(*words, runs=runs, RIG_PREFIX=prefix)
        if (one.run["prefix"] is None) != (prefix == "no"):
            raise SystemExit(f"{words}: the run began elsewhere")
        return Took(one.wall, one.cpu), Took(one.qemu, one.cpu)

    return way


def cold_of_rig(runs: Path) -> Way:
    def way(number: int) -> tuple[Took, ...]:
        one = timed("--append", f"rig.peer={os.getpid()}.{number}", runs=runs)
        return (Took(one.wall, one.cpu),)

    return way


def rounds(parts: Parts, directory: Path, runs: Path, count: int, *, pauses: bool) -> None:
    """Measure all ways turn by turn, so that a machine whose speed moves moves all of them, and print the table."""
    kernel = prepared(directory, parts)
    programs = parts.code.programs["hog"].parent
    busybox = directory / "root" / "bin" / "busybox"
    archive = initramfs(runs, busybox, programs, every="0")
    ways: dict[str, Way] = {
        "rig, from a kept past, decided": of_rig(runs / "rig", "yes"),
        "rig, from a kept past, to the end": of_rig(runs / "rig", "yes", "--to-the-end"),
        "rig, warm, decided": of_rig(runs / "rig", "no"),
        "rig, warm, to the end": of_rig(runs / "rig", "no", "--to-the-end"),
        "rig, cold (no snapshot), decided": cold_of_rig(runs / "rig"),
        # Its CPU time is not all of it: the group of a guest that it started is killed, and not waited for.
        "virtme-ng, a boot a point, no pauses": lambda _: (
            measured(lambda: with_virtme(directory, kernel, programs, [HOG])),
        ),
    }
    for _ in range(2):
        timed(runs=runs / "rig", RIG_PREFIX="yes")  # makes the snapshot, and keeps the past
    script = [measured(lambda: by_hand(kernel, archive))]
    took: dict[str, list[tuple[Took, ...]]] = {name: [] for name in ways}
    beside: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(count):
        for name, way in ways.items():
            if number < FEWER or "virtme" not in name:
                took[name].append(way(number))
                script.append(measured(lambda: by_hand(kernel, archive)))
                beside[name].append((script[-2].wall + script[-1].wall) / 2)
    mean = statistics.mean(each.wall for each in script)
    row(SCRIPT, script, [mean] * len(script))
    for name, each in took.items():
        row(name, [first for first, *_ in each], beside[name])
        if name == "rig, warm, decided":
            row("  of it QEMU alone", [qemu for _, qemu in each], beside[name])
    if pauses:
        slow = initramfs(runs, busybox, programs, every="30s")
        row("a script, pauses of 30 s", [measured(lambda: by_hand(kernel, slow))], [mean])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--pauses", action="store_true")
    arguments = parser.parse_args()
    parts = find_parts(Store(), None, None)
    print(f"{machine()}, kernel {parts.kernel.release}")
    with tempfile.TemporaryDirectory(prefix="rig-peers-") as name:
        runs = Path(name)
        (runs / "rig").mkdir()
        directory = (arguments.directory or runs / "virtme").absolute()
        directory.mkdir(parents=True, exist_ok=True)
        rounds(parts, directory, runs, arguments.runs, pauses=arguments.pauses)


if __name__ == "__main__":
    main()
