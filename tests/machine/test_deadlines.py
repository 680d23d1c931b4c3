# SPDX-License-Identifier: MIT
"""A QEMU that hangs or stops its guest is detected and reported. The monitor is a stub that answers like QEMU."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rig.errors import GuestError, RigError
from rig.experiment import stops
from rig.experiment.execution import Execution
from rig.experiment.stops import watch_stops
from rig.machine import qmp, session
from rig.machine.branch_point import _stopped
from rig.machine.qmp import Monitor
from rig.replay.replay import Bounds, _to_its_end
from tests.machine.test_command import QEMU, SPEC, WIRING


class Client:
    """answers: command -> what QEMU returns; a command that is not in it is never answered."""

    def __init__(self, answers: dict[str, Any], events: tuple[str, ...] = ()) -> None:
        self._answers = answers
        self._events = iter(events)
        self.commands: list[str] = []

    async def execute(self, command: str, arguments: dict[str, Any] | None) -> Any:
        self.commands.append(command)
        if command not in self._answers:
            await asyncio.Event().wait()
        return self._answers[command]

    def send_fd_scm(self, descriptor: int) -> None:
        pass

    @property
    async def events(self) -> AsyncIterator[dict[str, str]]:
        for name in self._events:
            yield {"event": name}


def monitor(client: Client, scale: float = 1.0) -> Monitor:
    made = Monitor("test", scale)
    made._client = client
    return made


def test_command_that_is_not_answered_ends_with_its_name() -> None:
    with pytest.raises(RigError, match=r"QMP: QEMU did not answer query-status within 0.02 s .*--timeout-scale"):
        asyncio.run(monitor(Client({}), 0.01).execute("query-status", deadline=2.0))


@pytest.mark.parametrize(("prealloc", "within"), [(False, "0.1 s"), (True, "0.2 s")])
def test_qemu_that_does_not_connect_is_ended_later_where_it_allocates_memory_first(
    prealloc: bool, within: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "START_DEADLINE", 0.1)
    monkeypatch.setattr(session, "PREALLOC_DEADLINE", 0.2)
    program = tmp_path / "qemu"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    wiring = replace(WIRING, directory=tmp_path, prealloc=prealloc)

    async def start() -> None:
        async with session.started(SPEC, wiring, replace(QEMU, path=program), tmp_path, session.Listeners()):
            pass

    with pytest.raises(RigError, match=rf"QEMU did not connect within {within} .*--timeout-scale 3"):
        asyncio.run(start())


@pytest.mark.parametrize(("direction", "verb"), [("in", "restoring"), ("out", "saving")])
def test_migration_that_comes_no_further_is_noticed(
    direction: str, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qmp, "STILL_DEADLINE", 0.05)
    answers = {"migrate-set-capabilities": {}, "migrate-set-parameters": {}, "migrate": {}, "migrate-incoming": {}}
    client = Client({**answers, "getfd": {}, "query-migrate": {"status": "active", "ram": {"transferred": 7}}})

    with (
        (tmp_path / "state").open("wb") as state,
        pytest.raises(RigError, match=f"made no progress in {verb} the guest"),
    ):
        asyncio.run(monitor(client).migrate(direction, state.fileno(), to_file=False))


class Session:
    """As much of a session as is asked for its stops."""

    def __init__(self, client: Client) -> None:
        self.monitor = monitor(client)
        self.wiring = SimpleNamespace(recorder=None)

    def failure(self, what: str) -> GuestError:
        return GuestError(what, detail="QEMU said: KVM internal error. Suberror: 1")


@pytest.mark.parametrize("state", ["internal-error", "io-error"])
def test_guest_that_qemu_stopped_is_ended_and_qemu_quoted(state: str) -> None:
    execution = Execution()
    client = Client({"query-status": {"status": state}, "quit": {}}, ("RESUME", "STOP"))

    asyncio.run(watch_stops(Session(client), execution))  # type: ignore[arg-type] # all that it uses

    assert execution.stopped is not None
    assert execution.stopped.what == f"QEMU stopped the guest: {state}"
    assert "KVM internal error" in str(execution.stopped.detail)
    assert client.commands == ["query-status", "quit"]


@pytest.mark.parametrize(("size", "commands"), [(4097, ["quit"]), (4096, [])])
def test_guest_whose_recording_grows_too_large_is_ended(
    size: int, commands: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stops, "LARGEST_RECORDING", 4096)
    monkeypatch.setattr(stops, "LOOK_EVERY", 0.001)
    execution = Execution()
    client = Client({"quit": {}})
    session = Session(client)
    session.wiring = SimpleNamespace(recorder=SimpleNamespace(file=tmp_path / "replay.bin"))

    async def watch() -> None:
        watching = asyncio.ensure_future(stops.watch_recording(session, execution))  # type: ignore[arg-type] # all that it uses
        await asyncio.sleep(0.01)
        (tmp_path / "replay.bin").write_bytes(bytes(size))
        await asyncio.wait([watching], timeout=60 if commands else 0.1)
        assert watching.done() == bool(commands)
        watching.cancel()

    asyncio.run(watch())

    assert client.commands == commands
    assert (execution.stopped is not None) == bool(commands)
    if execution.stopped is not None:
        # A run's reason has this text alone.
        assert "recording has more than 4" in execution.stopped.what
        assert "run it with --no-record" in execution.stopped.what


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        (("STOP",), "QEMU stopped the guest: internal-error: KVM internal error. Suberror: 1"),
        (("GUEST_PANICKED", "STOP"), ""),
    ],
)
def test_replay_whose_guest_qemu_stopped_ends_at_once_and_qemu_is_quoted(events: tuple[str, ...], problem: str) -> None:
    session = cast("Any", Session(Client({"query-status": {"status": "internal-error"}}, events)))
    words = "a warning\nKVM internal error. Suberror: 1\n"
    session.process = SimpleNamespace(wait=lambda: asyncio.Event().wait(), words=lambda: words)

    found = asyncio.run(asyncio.wait_for(_to_its_end(session, asyncio.Event(), Bounds(100, 50)), 20))

    assert found == problem


def test_stop_that_rig_asked_for_is_no_failure() -> None:
    execution = Execution()
    client = Client({"query-status": {"status": "paused"}}, ("STOP", "RESUME"))

    asyncio.run(watch_stops(Session(client), execution))  # type: ignore[arg-type] # all that it uses

    assert execution.stopped is None


def test_guest_that_is_not_held_at_its_branch_point_is_noticed_within_the_scaled_deadline() -> None:
    class AtThePoint(Session):
        async def record(self, name: str, timeout: float) -> dict[str, Any]:
            return {"ev": name}

    session = cast("Any", AtThePoint(Client({"cont": {}})))
    session.monitor.next_event = lambda name: asyncio.Event().wait()

    with pytest.raises(GuestError, match="QEMU did not stop the guest at the branch point"):
        asyncio.run(asyncio.wait_for(_stopped(session, 60, 0.001), 5))
