# SPDX-License-Identifier: MIT
"""Signals at moments spread over the time that a command takes."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.home import Called, Home, remove

__all__ = ["QUICK", "SWEEP", "branch", "branched", "cold_run", "export", "import_", "replay", "run", "start",
           "sweep"]  # fmt: skip

QUICK = ("overcommit-oops", "--memory", "128M", "--set", "parent=21M", "--set", "hog=23M", "--set", "every=1ms")
"""A small run, which takes three or four seconds and reproduces. In one with a parent of 40M the child has as many pages as
the parent when memory runs out: chance decides which of the two is killed, so the run is invalid."""
SWEEP = ("sweep", "overcommit-oops", "--set", "memory=128M", "--set", "parent=21M", "--set", "hog=23M",
         "--over", "every=1ms,1s")  # fmt: skip
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
START = 30.0
"""Host seconds within which a command that is interrupted while it starts must have ended."""
Cases = Iterator[tuple[str, str]]


def _at_moments(
    home: Home,
    words: tuple[str, ...],
    count: int,
    again: Callable[[], None],
    *,
    good: tuple[int, ...] = (0,),
) -> Cases:
    """Send a signal at each of `count` moments of a command. again: makes what the command begins from.

    good: the exit statuses that the command may have where no signal comes in time.
    """
    again()
    began = time.monotonic()
    whole = home.rig(*words)
    took = time.monotonic() - began
    if problem := whole.broken(good) or home.left():
        yield "undisturbed", problem
        return
    for number in range(count):
        number_of = SIGNALS[number % 4]
        again()
        process = home.begin(*words)
        moment = took * (number + 0.5) / count
        time.sleep(moment)
        process.send_signal(number_of)
        called = home.end(process)
        name = f"{number_of.name} at {moment:.2f} of {took:.2f} s"
        if number_of is signal.SIGKILL:
            home.age_partials()
            cleaned = home.rig("clean")
            yield name, cleaned.broken((0,)) or home.left()
        else:
            allowed = (*good, 128 + number_of)
            yield name, ("" if _is_early(called, number_of) else called.broken(allowed)) or home.left()
    again()
    after = home.rig(*words)
    if after.status != whole.status:
        yield "undisturbed, at the end", f"exit status {after.status}, not {whole.status}: {after.err.strip()[-200:]}"


def _is_early(called: Called, number: signal.Signals) -> bool:
    """Return whether a signal came before the first line of rig: Python then ends as it ends with any program.

    SIGINT shows a traceback of Python's own start, and gives status 1 while it imports `site` or `runpy`.
    """
    return called.status in (-number, 1) and not re.search("/rig/(cli/|__main__)|^rig: ", called.err, re.MULTILINE)


def _nothing() -> None:
    pass


def start(home: Home, count: int) -> Cases:
    """Signals to a command while its modules are imported: one that never ends, so that a lost interrupt is seen."""
    going = home.runs / ".unfinished-20250131-120000-abcd"
    going.mkdir()
    (going / "events.jsonl").touch()
    began = time.monotonic()
    process = home.begin("watch")
    assert process.stderr is not None
    process.stderr.readline()
    took = time.monotonic() - began
    process.kill()
    home.end(process)
    for number in range(count):
        number_of = SIGNALS[number % 3]
        process = home.begin("watch")
        moment = took * (number + 0.5) / count
        time.sleep(moment)
        process.send_signal(number_of)
        called = home.end(process, START)
        said = f"rig: interrupted{'' if number_of is signal.SIGINT else f' by {number_of.name}'}"
        told = [line for line in called.err.splitlines() if not line.startswith("[")]
        wrong = called.broken((128 + number_of,)) or ("" if told == [said] else f"it said {called.err[-300:]}")
        yield f"{number_of.name} at {moment:.2f} of {took:.2f} s", "" if _is_early(called, number_of) else wrong
    remove(going)


def run(home: Home, count: int) -> Cases:
    """Signals to `rig run`, whose snapshot is there."""
    home.rig("run", *QUICK)
    yield from _at_moments(home, ("run", *QUICK), count, _nothing)


def cold_run(home: Home, count: int) -> Cases:
    """Signals to `rig run` while it boots and saves the guest."""
    yield from _at_moments(home, ("run", *QUICK), count, lambda: remove(home.cache / "snapshot"))


def sweep(home: Home, count: int) -> Cases:
    """Signals to `rig sweep`, which has two points."""
    yield from _at_moments(home, SWEEP, count, _nothing)


def branch(home: Home, count: int) -> Cases:
    """Signals to `rig branch` while it saves the point and runs two futures."""
    yield from _at_moments(home, branched(home), count, lambda: remove(home.cache / "branch"), good=(0, 1, 2))


def branched(home: Home) -> tuple[str, ...]:
    """Make a run, and return the words of a command that branches it."""
    home.rig("run", *QUICK)
    (kept,) = [path.name for path in home.runs.iterdir() if (path / "run.json").is_file()]
    return ("branch", kept, "--at", "writing-starts", "--control", "2")


def replay(home: Home, count: int) -> Cases:
    """Signals to `rig replay`."""
    home.rig("run", *QUICK)
    yield from _at_moments(home, ("replay", "last"), count, _nothing)


def export(home: Home, count: int) -> Cases:
    """Signals to `rig export`: no half of an archive is left."""
    home.rig("run", *QUICK)
    archive = home.path / "run.tar.zst"
    for name, problem in _at_moments(home, ("export", "last", str(archive)), count, lambda: remove(archive)):
        other = [
            path.name for path in home.path.iterdir() if path.name not in ("runs", "cache", "t", "x", archive.name)
        ]
        yield name, problem or (f"it left {other[0]}" if other else "")


def import_(home: Home, count: int) -> Cases:
    """Signals to `rig import`."""
    archive = exported(home)

    def again() -> None:
        for directory in (home.runs, home.cache / "imported", home.cache / "snapshot"):
            remove(directory)
        home.runs.mkdir()

    yield from _at_moments(home, ("import", str(archive)), count, again)


def exported(home: Home) -> Path:
    """Return the archive of a run."""
    archive = home.path / "run.tar.zst"
    home.rig("run", *QUICK)
    home.rig("export", "last", str(archive))
    return archive
