# SPDX-License-Identifier: MIT
"""An interrupt at any instant of an event loop ends the command and nothing more: no traceback, no warning of Python."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

EVERY_INSTANT = """
import _thread, asyncio, gc, json, signal, sys, time, warnings

from rig.cli import ending, event_loop, interrupts

SIGNALS = [signal.Signals[name] for name in sys.argv[1].split("+")]
PLACES = ("asyncio", "selectors", "event_loop")

interrupts.hold_interrupts()
ending.watch_signals()
threads = _thread._count()
told = sys.unraisablehook
lost = []

def note(unraisable):
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        lost.append(repr(unraisable.exc_value))
    told(unraisable)

sys.unraisablehook = note

async def numbers():
    yield 1
    yield 2

async def work():
    try:
        await asyncio.to_thread(len, "a thread that ends")
        async for _ in numbers():
            await asyncio.sleep(0)
    finally:
        await asyncio.sleep(0)

def interrupted_at(instant, due):
    steps = 0

    def trace(frame, event, argument):
        nonlocal steps
        if not any(place in frame.f_code.co_filename for place in PLACES):
            return None
        steps += event == "line"
        if due and steps >= instant:
            signal.raise_signal(due.pop(0))
        return trace

    sys.settrace(trace)
    try:
        event_loop.run(work())
        sys.settrace(None)
        # One that was held comes again.
        if not due:
            time.sleep(1)
        return "not interrupted"
    except KeyboardInterrupt:
        return ""
    except BaseException as error:
        return repr(error)
    finally:
        sys.settrace(None)
        # The second of two that were held comes after the end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while _thread._count() > threads:
            time.sleep(0.001)

problems, instant, due = {}, 0, []
with warnings.catch_warnings(record=True) as warned:
    warnings.simplefilter("always")
    while not due:
        instant += int(sys.argv[2])
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, ending._interrupt)  # the first one has made rig ignore the others
        signal.signal(signal.SIGINT, interrupts.interrupt)
        due, problem = list(SIGNALS), ""
        try:
            problem = interrupted_at(instant, due)
        except KeyboardInterrupt:
            pass  # the second one, between the first and the line that ignores it
        gc.collect()
        problem = problem or lost or [str(each.message) for each in warned]
        if problem and not due:
            problems[instant] = problem
        lost.clear()
        warned.clear()
print(json.dumps({"instants": instant, "problems": problems}))
"""


def _interrupted(signals: str, step: int) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-c", EVERY_INSTANT, signals, str(step)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize("signals", ["SIGINT", "SIGTERM", "SIGINT+SIGINT", "SIGTERM+SIGHUP"])
def test_interrupt_at_any_instant_ends_the_loop_and_says_nothing(signals: str) -> None:
    found, said = _interrupted(signals, 7)

    assert found["instants"] > 500
    assert found["problems"] == {}
    assert said == ""
