# SPDX-License-Identifier: MIT
"""cast: actors with their names and their memory, and the words that it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest


def refused(build: Path, *words: str) -> str:
    done = subprocess.run([build / "programs" / "cast", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 64
    return done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "needs an ACTOR"),
        (("anon=1M",), "needs comm=NAME"),
        (("colour=red comm=x",), "'colour' is no word of an actor"),
        (("anon comm=x",), "'anon' is not KEY=VALUE"),
        (("anon=lots comm=x",), "not a size"),
        (("order=9 comm=x",), "not a number from 0 to 3"),
        (("trigger=file-read comm=x",), "--disk names it"),
    ],
)
def test_bad_word_is_a_usage_error(words: tuple[str, ...], message: str, build: Path) -> None:
    assert message in refused(build, *words)


def test_actors_hold_memory_under_their_names(build: Path) -> None:
    lists = Path("/proc/sys/vm/percpu_pagelist_high_fraction")
    before = lists.read_text() if lists.exists() else ""
    words = ["adj=0 anon=2M comm=Web Content", "adj=0 shared=4M forks=1 own=1M child=kid comm=parent"]
    program = subprocess.Popen(
        [build / "programs" / "cast", *words], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert program.stdout is not None
        lines = []
        for line in program.stdout:
            lines.append(line.strip())
            if lines[-1] == "all hold":
                break
        session = [path for path in Path("/proc").iterdir() if path.name.isdigit() and _session(path) == program.pid]
        rss = {_comm(path): _rss(path) for path in session}

        assert "held Web Content anon 2097152" in lines
        # Only the plan of a replica asks for that: cast may run as root on a machine of somebody's.
        assert (lists.read_text() if lists.exists() else "") == before
        assert rss["Web Content"] >= 2 << 20
        assert rss["kid"] >= 5 << 20
        assert rss["parent"] >= 4 << 20
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def _session(path: Path) -> int:
    try:
        return os.getsid(int(path.name))
    except OSError:
        return 0


def _comm(path: Path) -> str:
    return (path / "comm").read_text().strip()


def _rss(path: Path) -> int:
    line = next(line for line in (path / "smaps_rollup").read_text().splitlines() if line.startswith("Rss:"))
    return int(line.split()[1]) << 10
