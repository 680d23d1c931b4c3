# SPDX-License-Identifier: MIT
"""Moments of a run as points, and acts there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rig.branch.acts import parse_cgroup, parse_signal, parse_spawn, parse_write
from rig.branch.changes import Changes, plan_future
from rig.branch.origin import Source
from rig.branch.point import find_point
from rig.errors import UsageError
from rig.image.continuation import Stop
from rig.run.document import OomReport, Run
from rig.run.records import Records


def record(n: int, t: float, ev: str, **fields: Any) -> dict[str, Any]:
    return {"n": n, "t": t, "ev": ev, **fields}


@pytest.fixture
def ran(source: Source) -> Source:
    """The source with the records of a run: it waited for a line from 2 s on, slept from 5 s to 6 s."""
    records = (
        record(0, 0.5, "ready"),
        record(1, 1.0, "go"),
        record(2, 1.1, "step", i=0, verb="sysctl", ok=True),
        record(3, 1.2, "step", i=1, verb="spawn", ok=True),
        record(4, 1.9, "sample", label="here"),
        record(5, 2.0, "step", i=2, verb="sample", ok=True),
        record(6, 3.0, "line", text="y"),
        record(7, 5.0, "step", i=3, verb="wait_line", ok=True),
        record(8, 6.0, "step", i=4, verb="sleep", ok=True),
        record(9, 6.5, "end", reason="plan"),
    )
    run = Run(id="r", scenario="s", started="", verdict="reproduced", ooms=(OomReport(time=5.7),))
    return replace(source, records=Records(items=records), run=run)


def test_moment_stops_after_the_last_record_before_it(ran: Source) -> None:
    point = find_point(ran, "t=4s")

    assert (point.stop, point.first, point.moment) == (Stop(record=6), 3, 4.0)


def test_future_waits_for_the_moment_and_then_goes_on_with_the_step(ran: Source) -> None:
    text = plan_future(ran, find_point(ran, "t=4s"), Changes(("vm.swappiness=0",))).continuation.text

    assert text.splitlines()[:3] == [
        "wait_time\tat=4.000000",
        "sysctl\tname=vm.swappiness\tvalue=0",
        "wait_line\tprogram=p\ttext=x\ttimeout=5\twas=3",
    ]


def test_sleep_that_is_interrupted_ends_when_it_would_have_ended(ran: Source) -> None:
    point = find_point(ran, "oom-200ms")

    text = plan_future(ran, point, Changes()).continuation.text
    assert point.first == 4
    assert text.splitlines()[:2] == ["wait_time\tat=5.500000", "wait_time\tat=6.000000"]


def test_record_of_a_step_that_does_not_wait_belongs_to_its_record(ran: Source) -> None:
    point = find_point(ran, "t=1.95s")

    assert (point.stop, point.first) == (Stop(record=5), 3)


@pytest.mark.parametrize("text", ["t=0.2s", "t=100s", "oom-10s"])
def test_moment_outside_of_the_plan_is_refused(ran: Source, text: str) -> None:
    with pytest.raises(UsageError, match="is not a time of this run's plan"):
        find_point(ran, text)


def test_panic_that_did_not_come_is_no_moment(ran: Source) -> None:
    with pytest.raises(UsageError, match="there was no panic in this run"):
        find_point(ran, "panic-1s")


def test_acts_are_steps_of_the_plan(ran: Source) -> None:
    here = find_point(ran, "here")

    steps = [
        parse_signal("p/child=SIGKILL", ran, here),
        parse_write("/proc/sys/vm/drop_caches=3"),
        parse_cgroup("service:memory.max=100M"),
        parse_spawn("q=p 50M", ran),
    ]
    assert [step.text().replace("\t", " ") for step in steps] == [
        "signal program=p comm=child signal=KILL",
        "write path=/proc/sys/vm/drop_caches value=3",
        "cgroup name=service memory.max=100M",
        "spawn program=q arg={payload}/bin/p arg=50M",
    ]
    assert "signal" in plan_future(ran, here, Changes((), tuple(steps))).continuation.text.splitlines()[0]


def test_acts_that_cannot_be_are_refused(ran: Source) -> None:
    here = find_point(ran, "here")

    with pytest.raises(UsageError, match="spawns a program 'hog'"):
        parse_signal("hog=KILL", ran, here)
    with pytest.raises(UsageError, match="is not an absolute path"):
        parse_write("vm.swappiness=0")
    with pytest.raises(UsageError, match="does not name a cgroup"):
        parse_cgroup("service=100M")
    with pytest.raises(UsageError, match="has no program 'hog'"):
        parse_spawn("x=hog 50M", ran)
    with pytest.raises(UsageError, match="is not an act"):
        parse_signal("hog", ran, here)
