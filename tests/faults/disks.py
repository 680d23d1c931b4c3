# SPDX-License-Identifier: MIT
"""Full and read-only disks: the message names the directory, and nothing is lost. Mounting small disks needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.faults.home import Called, Home, mounted, remove
from tests.faults.signals import QUICK, branched, exported

__all__ = ["branch_point", "cache", "export", "image_build", "import_", "read_only", "runs", "runtime"]

Cases = Iterator[tuple[str, str]]


def _sizes(count: int, smallest: int, largest: int) -> list[int]:
    """Return sizes in kilobytes, spread evenly over the orders of magnitude."""
    if count == 1:
        return [int((smallest * largest) ** 0.5)]
    return [int(smallest * (largest / smallest) ** (number / (count - 1))) for number in range(count)]


def _problem(called: Called, home: Home, directory: Path, variable: str) -> str:
    """Return what is wrong with a command on a small disk: it succeeds, or names the directory and the remedy."""
    if problem := called.broken((0, 1, 2, 3)) or home.left():
        return problem
    if called.status != 3:
        return ""
    said = called.err + called.out
    if str(directory) not in said:
        return f"it does not name {directory.name}: {said.strip()[-300:]}"
    return "" if variable in said else f"it does not name {variable}: {said.strip()[-300:]}"


def _small(home: Home, directory: Path, size: int, words: tuple[str, ...], variable: str) -> str:
    try:
        with mounted(directory, size):
            return _problem(home.rig(*words), home, directory, variable)
    except OSError as error:
        return f"not tried: {error}"


def runs(home: Home, count: int) -> Cases:
    """The directory of runs is full."""
    home.rig("run", *QUICK)
    remove(home.runs)
    home.runs.mkdir()
    for size in _sizes(count, 4, 4000):
        yield f"{size} kB", _small(home, home.runs, size, ("run", *QUICK), "RIG_RUNS")


def cache(home: Home, count: int) -> Cases:
    """The cache has room for a part of a snapshot."""
    remove(home.cache / "snapshot")
    used = sum(path.stat().st_blocks * 512 for path in home.cache.rglob("*") if path.is_file()) >> 10
    for size in _sizes(count, 20, 80_000):
        yield f"{size} kB", _small(home, home.cache, used + size, ("run", *QUICK), "RIG_CACHE")


def image_build(home: Home, count: int) -> Cases:
    """The cache, or the directory of temporary files, fills while the quick image is built from the mirror's packages."""
    remove(home.cache)
    home.cache.mkdir()
    for number, size in enumerate(_sizes(count, 100, 120_000)):
        directory, variable = ((home.cache, "RIG_CACHE"), (home.path / "t", "TMPDIR"))[number % 2]
        yield f"{size} kB for {variable}", _small(home, directory, size, ("image", "build"), variable)


def branch_point(home: Home, count: int) -> Cases:
    """The cache has room for a part of a branch point."""
    words = branched(home)
    used = sum(path.stat().st_blocks * 512 for path in home.cache.rglob("*") if path.is_file()) >> 10
    for size in _sizes(count, 20, 80_000):
        remove(home.cache / "branch")
        yield f"{size} kB", _small(home, home.cache, used + size, words, "RIG_CACHE")


def runtime(home: Home, count: int) -> Cases:
    """The directories of sockets and of temporary files are full, by turns."""
    home.rig("run", *QUICK)
    for number, size in enumerate(_sizes(count, 4, 4000)):
        directory, variable = ((home.path / "x", "XDG_RUNTIME_DIR"), (home.path / "t", "TMPDIR"))[number % 2]
        yield f"{size} kB for {variable}", _small(home, directory, size, ("run", *QUICK), variable)


def export(home: Home, count: int) -> Cases:
    """The disk of the archive is full."""
    archive = exported(home)
    target = home.path / "usb"
    target.mkdir(exist_ok=True)
    for size in _sizes(count, 4, (archive.stat().st_size >> 10) + 1000):
        words = ("export", "last", str(target / "x.tar.zst"))
        yield f"{size} kB", _small(home, target, size, words, "another disk")


def import_(home: Home, count: int) -> Cases:
    """Cache and runs are on disks with little room, by turns."""
    archive = exported(home)
    remove(home.cache / "snapshot")
    remove(home.runs)
    home.runs.mkdir()
    used = sum(path.stat().st_blocks * 512 for path in home.cache.rglob("*") if path.is_file()) >> 10
    for number, size in enumerate(_sizes(count, 100, 60_000)):
        words = ("import", str(archive))
        if number % 2:
            yield f"{size} kB for runs", _small(home, home.runs, size, words, "RIG_RUNS")
        else:
            yield f"{size} kB for the cache", _small(home, home.cache, used + size, words, "RIG_CACHE")
        remove(home.cache / "imported")
        remove(home.runs)
        home.runs.mkdir()


def read_only(home: Home, count: int) -> Cases:
    """A cache that is complete works although nothing can be written into it."""
    home.rig("run", *QUICK)
    commands = (("run", *QUICK), ("replay", "last"), ("explain", "last"), ("list",), ("image", "list"))
    bind = subprocess.run(["mount", "--bind", home.cache, home.cache], check=False, capture_output=True)
    if bind.returncode != 0:
        yield "mount", f"not tried: {bind.stderr.decode(errors='replace').strip()}"
        return
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", home.cache], check=True)
        if os.access(home.cache, os.W_OK):
            yield "mount", "not tried: it is not read-only"
            return
        for words in commands[:count]:
            yield words[0], home.rig(*words).broken((0, 1, 2))
    finally:
        subprocess.run(["umount", "-l", home.cache], check=True)
