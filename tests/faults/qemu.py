# SPDX-License-Identifier: MIT
"""A QEMU that is killed, or stopped, at moments from its start to its end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

from tests.faults.home import Home, remove
from tests.faults.signals import QUICK

__all__ = ["killed", "stopped"]

Cases = Iterator[tuple[str, str]]


def killed(home: Home, count: int) -> Cases:
    """SIGKILL: rig says by which signal QEMU ended, or has its result already."""
    yield from _at_moments(home, count, signal.SIGKILL, ())


def stopped(home: Home, count: int) -> Cases:
    """SIGSTOP: a deadline of the phase ends the wait. The deadlines are scaled down, or a case takes five minutes."""
    yield from _at_moments(home, count, signal.SIGSTOP, ("--timeout-scale", "0.1"))


def _at_moments(home: Home, count: int, number: signal.Signals, options: tuple[str, ...]) -> Cases:
    took = []
    for _ in ("a boot", "a restored guest"):
        began = time.monotonic()
        home.rig("run", *QUICK)
        took.append(time.monotonic() - began)
    for index in range(count):
        # Every third guest boots, so that a boot and the saving of the guest are met too.
        cold = index % 3 == 0
        if cold:
            remove(home.cache / "snapshot")
        process = home.begin("run", *QUICK, *options)
        began = time.monotonic()
        while not (found := home.qemus()) and process.poll() is None and time.monotonic() - began < 60:
            time.sleep(0.01)
        moment = took[0 if cold else 1] * (index + 0.5) / count
        time.sleep(moment)
        found = found and home.qemus()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        called = home.end(process)
        name = f"{number.name} {moment:.2f} s after the start of {'a boot' if cold else 'a restored guest'}"
        # Not always 3: QEMU may have been at its end, with all its output read.
        yield name, called.broken((0, 1, 2, 3)) or home.left()
    after = home.rig("run", *QUICK)
    if problem := after.broken((0,)):
        yield "undisturbed, at the end", problem
