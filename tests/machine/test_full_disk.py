# SPDX-License-Identifier: MIT
"""A guest's output is read to its end even when the disk is full."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from rig.errors import RigError
from rig.machine import saving
from rig.machine.channel import Channel
from rig.machine.console import Console
from rig.machine.pipe import ReadEnd
from rig.machine.recording import is_finished

FULL = Path("/dev/full")
"""full(4): every write fails with ENOSPC."""


def test_console_is_heard_although_its_file_takes_nothing(tmp_path: Path) -> None:
    received: list[bytes] = []
    console = Console(ReadEnd(tmp_path / "console"), FULL, received.append)
    console.start()

    with (tmp_path / "console.out").open("wb") as qemu:
        qemu.write(b"one\r\ntwo\r\n")

    assert console.drain(10)
    assert received == [b"one", b"two"]
    assert console.failed is not None
    assert console.failed.strerror == "No space left on device"


def test_records_are_heard_although_their_file_takes_nothing(tmp_path: Path) -> None:
    received: list[bytes] = []

    async def listen() -> Channel:
        channel = Channel(FULL, received.append)
        await channel.listen(tmp_path / "events")
        descriptor = os.open(tmp_path / "events.out", os.O_WRONLY)
        os.write(descriptor, b'{"ev":"ready"}\n{"ev":"end"}\n')
        os.close(descriptor)
        assert await channel.drain(10)
        return channel

    channel = asyncio.run(listen())

    assert received == [b'{"ev":"ready"}', b'{"ev":"end"}']
    assert channel.failed is not None


@pytest.mark.parametrize(
    ("said", "full", "what"),
    [
        (f"QEMU could not save the guest: Failed to write: {os.strerror(errno.ENOSPC)}", False, "the disk is full"),
        (f"QEMU could not save the guest: Failed to write: {os.strerror(errno.EDQUOT)}", False, "the disk is full"),
        ("QEMU could not save the guest: no reason given", True, "the disk is full"),
        ("QEMU could not save the guest: no reason given", False, "QEMU could not save the guest: no reason given"),
    ],
)
def test_guest_that_cannot_be_saved_names_a_full_cache(
    said: str, full: bool, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def migrate(*_: object, **__: object) -> None:
        raise RigError(said)

    session = SimpleNamespace(monitor=SimpleNamespace(migrate=migrate), process=SimpleNamespace(words=lambda: ""))
    monkeypatch.setattr(saving, "is_full", lambda path: full)
    monkeypatch.setattr(saving, "has", lambda *_: False)

    with pytest.raises(RigError) as caught:
        asyncio.run(saving.save_state(cast("Any", session), 0, cast("Any", None), tmp_path))

    assert caught.value.what == what


@pytest.mark.parametrize(
    ("header", "finished"), [(bytes(12), False), (b"\x00\xe0\x20\x0c" + bytes(8), True), (b"", False)]
)
def test_recording_is_finished_when_qemu_has_written_its_version(header: bytes, finished: bool, tmp_path: Path) -> None:
    (tmp_path / "replay.bin").write_bytes(header + b"events" * bool(header))

    assert is_finished(tmp_path / "replay.bin") is finished
