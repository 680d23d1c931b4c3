# SPDX-License-Identifier: MIT
"""Harmful input: crafted archives and bombs, and mutated kernel logs."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rig.klog import read
from rig.klog.explain import explain
from tests.faults.home import Home

__all__ = ["archives", "logs"]

Cases = Iterator[tuple[str, str]]
ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests/klog"
SECONDS_A_LOG = 20.0
"""A generous limit: the logs are of some 100 kB, which take a tenth of a second."""
RESULT = re.compile(r"^(PASSED|FAILED|ERROR) (\S.*?)(?: - (.*))?$", re.MULTILINE)


def archives(home: Home, count: int) -> Cases:
    """The archives of the tests of import: each is refused, and changes nothing. None for a count of 0."""
    if not count:
        return
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "--no-header", "-p", "no:cacheprovider",
         "tests/replay/test_import.py", "tests/replay/test_room.py", "-k", "refused or bomb"],
        cwd=ROOT, env=home.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    for result, name, why in RESULT.findall(done.stdout):
        yield name.partition("::")[2], "" if result == "PASSED" else why or result


def logs(home: Home, count: int) -> Cases:
    """Logs of real crashes with bytes, lines and pieces changed, under a fixed seed: all are read and explained."""
    chance = random.Random(3)
    sources = [path.read_bytes() for path in sorted([*LOGS.glob("data/*.log"), *LOGS.glob("events/*.log")])]
    for number in range(count):
        log = _mutated(chance.choice(sources), chance, sources)
        began = time.monotonic()
        try:
            for event in read([log]).events:
                explain(event)
            problem = ""
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        took = time.monotonic() - began
        yield f"log {number}", problem or (f"it took {took:.1f} s" if took > SECONDS_A_LOG else "")


def _mutated(log: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(log) + 1)
        other = chance.choice(others)
        lines = log.split(b"\n")
        kind = chance.randrange(7)
        if kind == 0:
            log = log[:at] + bytes([chance.randrange(256)]) + log[at + 1 :]
        elif kind == 1:
            log = log[:at] + log[at + chance.randint(1, 200) :]
        elif kind == 2:
            log = log[:at] + other[: chance.randint(1, 2000)] + log[at:]
        elif kind == 3:
            chance.shuffle(lines)
            log = b"\n".join(lines)
        elif kind == 4:
            log = log[:at] + log[at : at + 1] * chance.choice((100, 5000)) + log[at:]
        elif kind == 5:
            numbers = list(re.finditer(rb"\d+", log[:100_000]))
            if numbers:
                found = chance.choice(numbers)
                new = chance.choice((b"0", b"-1", b"9" * 30, b"18446744073709551615", b"9" * 5000))
                log = log[: found.start()] + new + log[found.end() :]
        else:
            line = chance.randrange(len(lines))
            log = b"\n".join([*lines[:line], *lines[line : line + 3] * chance.randint(2, 50), *lines[line:]])
    return log[: 1 << 20]
