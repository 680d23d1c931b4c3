# SPDX-License-Identifier: MIT
"""A guest whose agent no longer reports is ended, and no guest that reports, panics, or has no plan that reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rig.experiment import stops
from rig.experiment.execution import Deadlines, Execution
from rig.experiment.stops import watch_silence

Look = Callable[["Guest"], None]


class Guest:
    """A session. looks: what happens before each look at it; after the last one the agent is silent."""

    def __init__(self, *looks: Look) -> None:
        self.channel = SimpleNamespace(bytes_seen=100)
        self.monitor = SimpleNamespace(execute=self.execute)
        self.execution = Execution()
        self.ended = False
        self.quit = 0
        self.looks = 0
        self._looks = list(looks)

    async def execute(self, command: str) -> None:
        assert command == "quit"
        self.quit += 1

    async def sleep(self, seconds: float) -> None:
        self.looks += 1
        if self._looks:
            self._looks.pop(0)(self)

    def done(self) -> bool:
        return self.ended


def watched(monkeypatch: pytest.MonkeyPatch, guest: Guest, longest: float | None) -> None:
    monkeypatch.setattr(stops, "asyncio", SimpleNamespace(sleep=guest.sleep))
    session: Any = guest
    ended: Any = guest
    asyncio.run(watch_silence(session, guest.execution, ended, longest))


def report(guest: Guest) -> None:
    guest.channel.bytes_seen += 1


def nothing(guest: Guest) -> None:
    pass


def panic(guest: Guest) -> None:
    guest.execution.panicked = True


def end(guest: Guest) -> None:
    guest.ended = True


def test_guest_whose_agent_is_silent_is_ended_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest()

    watched(monkeypatch, guest, 10)

    assert guest.quit == 1
    assert "its agent reported nothing for 10 s" in str(guest.execution.stopped)
    assert "--timeout-scale" in str(guest.execution.stopped)


def test_each_report_begins_the_silence_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(*[nothing, nothing, report] * 20)

    watched(monkeypatch, guest, 3)

    assert guest.quit == 1
    assert guest.looks == 60 + 3


@pytest.mark.parametrize("last", [panic, end])
def test_guest_that_panicked_or_is_at_its_end_may_be_silent(last: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest(report, nothing, nothing, nothing, last)

    watched(monkeypatch, guest, 4)

    assert (guest.quit, guest.execution.stopped) == (0, None)


def test_plan_that_does_not_report_periodically_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    guest = Guest()

    watched(monkeypatch, guest, None)

    assert guest.looks == 0


def test_silence_is_scaled_with_the_other_deadlines() -> None:
    assert Deadlines(60, 300, silence=124).scaled(3).silence == 372
    assert Deadlines(60, 300).scaled(3).silence is None
