# SPDX-License-Identifier: MIT
"""How rig passes a snapshot's file to each QEMU version. The monitor is a stub that answers like QEMU."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rig.errors import RigError
from rig.machine.qmp import Monitor


class Client:
    """Answers every command; keeps commands and descriptors in the order in which they came."""

    def __init__(self, status: dict[str, Any]) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._status = status

    def send_fd_scm(self, descriptor: int) -> None:
        self.calls.append(("SCM_RIGHTS", descriptor))

    async def execute(self, command: str, arguments: dict[str, Any] | None) -> Any:
        self.calls.append((command, arguments))
        return self._status if command == "query-migrate" else {}


def migrated(direction: str, *, to_file: bool, **status: Any) -> list[tuple[str, Any]]:
    monitor = Monitor("test")
    client = Client({"status": "completed"} | status)
    monitor._client = client
    asyncio.run(monitor.migrate(direction, 5, to_file=to_file))
    return [call for call in client.calls if "migrate-set" not in call[0] and call[0] != "query-migrate"]


@pytest.mark.parametrize(("direction", "command"), [("out", "migrate"), ("in", "migrate-incoming")])
def test_new_qemu_gets_the_file_as_a_set_of_descriptors(direction: str, command: str) -> None:
    assert migrated(direction, to_file=True) == [
        ("SCM_RIGHTS", 5),
        ("add-fd", {"fdset-id": 8}),
        (command, {"uri": "file:/dev/fdset/8"}),
    ]


def test_old_qemu_saves_to_a_named_descriptor_and_restores_from_one_it_inherited() -> None:
    assert migrated("out", to_file=False) == [
        ("SCM_RIGHTS", 5),
        ("getfd", {"fdname": "state"}),
        ("migrate", {"uri": "fd:state"}),
    ]
    assert migrated("in", to_file=False) == [("migrate-incoming", {"uri": "fd:5"})]


def test_migration_that_fails_is_told_in_qemus_words() -> None:
    with pytest.raises(RigError, match="could not save the guest: No space left on device"):
        migrated("out", to_file=True, status="failed", **{"error-desc": "No space left on device"})
